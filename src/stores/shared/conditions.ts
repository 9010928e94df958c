import { ConflictError, InvalidInputError, quote, UnsupportedError } from '../../core/errors.ts';
import type { IfVersion, Operation } from '../../core/store.ts';

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

/** @throws ConflictError when a log is told to go on at a seq that it has given out already */
export function checkStartSeq(log: string, startSeq: number | undefined, lastSeq: number): void {
  if (startSeq === undefined || startSeq > lastSeq) return;
  throw new ConflictError(
    `log ${quote(log)} ends at seq ${lastSeq}, it can't go on at seq ${startSeq}`,
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

/**
 * A record is either a document (put) or a counter (add), never both, and a counter's fields stay finite.
 * @throws UnsupportedError, InvalidInputError
 */
export function checkAdd(
  { kind, id, deltas }: Operation & { op: 'add' },
  current: { value: string; counter: boolean } | undefined,
): void {
  if (!current) return;
  if (!current.counter) {
    throw new UnsupportedError(
      `record ${kind} ${quote(id)} is not a counter: only records made by add can be added to`,
      { hint: 'Keep counters in records of their own.' },
    );
  }
  const sums = Object.entries(addCounters(JSON.parse(current.value), deltas));
  const beyond = sums.filter(([, sum]) => !Number.isFinite(sum));
  if (beyond.length === 0) return;
  throw new InvalidInputError(
    'bad batch',
    beyond.map(([field]) => ({
      path: `deltas.${field}`,
      message: 'takes the counter beyond what a number holds',
    })),
  );
}

/** @throws ConflictError unless a partition that expires at `expiresAt` (null: never) has expired by then */
export function checkExpired(ifExpiredAt: number | undefined, expiresAt: number | null): void {
  if (ifExpiredAt === undefined || (expiresAt !== null && expiresAt <= ifExpiredAt)) return;
  throw new ConflictError('the partition has not expired', undefined);
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
