import { ConflictError, quote, UnsupportedError } from '../../core/errors.ts';
import type { IfVersion } from '../../core/store.ts';

/** @throws ConflictError unless a record at `current` (undefined: not there) is what `ifVersion` asks for */
export function checkVersion(
  kind: string,
  id: string,
  ifVersion: IfVersion | undefined,
  current: number | undefined,
): void {
  if (ifVersion === undefined) return;
  const holds =
    ifVersion === 'absent'
      ? current === undefined
      : ifVersion === 'present'
        ? current !== undefined
        : current === ifVersion;
  if (holds) return;
  const expected = typeof ifVersion === 'number' ? `version ${ifVersion}` : ifVersion;
  const found = current === undefined ? 'absent' : `at version ${current}`;
  throw new ConflictError(`record ${kind} ${quote(id)} is ${found}, expected ${expected}`, current, {
    details: { kind, id, expected: ifVersion },
  });
}

/** @throws ConflictError unless the log ends where `ifLastSeq` says */
export function checkLastSeq(log: string, ifLastSeq: number | undefined, lastSeq: number): void {
  if (ifLastSeq === undefined || ifLastSeq === lastSeq) return;
  throw new ConflictError(`log ${quote(log)} ends at seq ${lastSeq}, expected ${ifLastSeq}`, lastSeq, {
    details: { log },
  });
}

/** @throws ConflictError when a log that already had entries is told where to start */
export function checkStartSeq(log: string, startSeq: number | undefined, lastSeq: number): void {
  if (startSeq === undefined || lastSeq === 0) return;
  throw new ConflictError(
    `log ${quote(log)} already had entries, it can't start at seq ${startSeq}`,
    lastSeq,
    { details: { log } },
  );
}

/** @throws ConflictError unless the entry is there, at the version asked for */
export function checkEntry(
  log: string,
  seq: number,
  ifVersion: number | undefined,
  current: number | undefined,
): void {
  if (current !== undefined && (ifVersion === undefined || ifVersion === current)) return;
  const found = current === undefined ? 'is not there' : `is at version ${current}, expected ${ifVersion}`;
  throw new ConflictError(`entry ${seq} of log ${quote(log)} ${found}`, current, { details: { log, seq } });
}

/** A record is either a document (put) or a counter (add), never both. */
export function counterMismatch(kind: string, id: string): UnsupportedError {
  return new UnsupportedError(
    `record ${kind} ${quote(id)} is not a counter: only records made by add can be added to`,
    {
      hint: 'Keep counters in records of their own.',
    },
  );
}

/** The fields of a counter after adding; built so that a field named `__proto__` is one like any other. */
export function addCounters(
  before: Readonly<Record<string, number>>,
  deltas: Readonly<Record<string, number>>,
): Record<string, number> {
  const fields = new Map(Object.entries(before));
  for (const [field, delta] of Object.entries(deltas)) fields.set(field, (fields.get(field) ?? 0) + delta);
  return Object.fromEntries(fields);
}
