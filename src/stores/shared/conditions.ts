import { ConflictError, InvalidInputError, quote, UnsupportedError } from '../../core/errors.ts';
import type { IfVersion, Operation } from '../../core/store.ts';

/** Where a partition stands, as far as conditions ask. */
export interface Standing {
  /** A record's version, or undefined where it is not there. */
  version(kind: string, id: string): number | undefined;
  /** What `add` would add to. */
  counter(kind: string, id: string): { value: string; counter: boolean } | undefined;
  /** The last seq that a log gave out; 0 in a new one. */
  lastSeq(log: string): number;
  entryVersion(log: string, seq: number): number | undefined;
  /** When the partition expires; null for never, undefined where it is not there. */
  expiresAt(): number | null | undefined;
}

/** Where a partition stands that is not there. */
export const NOWHERE: Standing = {
  version: () => undefined,
  counter: () => undefined,
  lastSeq: () => 0,
  entryVersion: () => undefined,
  expiresAt: () => undefined,
};

/**
 * Judges an operation's conditions, in the same words for every store. Asks only what it needs to know.
 * @throws ConflictError, UnsupportedError, InvalidInputError
 */
export function judge(operation: Operation, standing: Standing): void {
  switch (operation.op) {
    case 'check':
    case 'put':
    case 'delete': {
      const { kind, id, ifVersion } = operation;
      if (ifVersion !== undefined) checkVersion(kind, id, ifVersion, standing.version(kind, id));
      if (operation.op === 'put' && operation.version !== undefined)
        checkGivenVersion(kind, id, operation.version, standing.version(kind, id));
      return;
    }
    case 'add':
      checkAdd(operation, standing.counter(operation.kind, operation.id));
      return;
    case 'append': {
      const { log, ifLastSeq, startSeq } = operation;
      if (ifLastSeq !== undefined) checkLastSeq(log, ifLastSeq, standing.lastSeq(log));
      if (startSeq !== undefined) checkStartSeq(log, startSeq, standing.lastSeq(log));
      return;
    }
    case 'truncate': {
      const { log, ifLastSeq } = operation;
      if (ifLastSeq !== undefined) checkLastSeq(log, ifLastSeq, standing.lastSeq(log));
      return;
    }
    case 'rewrite': {
      const { log, seq, ifVersion } = operation;
      checkEntry(log, seq, ifVersion, standing.entryVersion(log, seq));
      return;
    }
    case 'drop':
      if (operation.ifExpiredAt !== undefined) checkExpired(operation.ifExpiredAt, standing.expiresAt());
      return;
    case 'expire':
  }
}

/** @throws ConflictError unless a record at `current` (undefined: not there) is what `ifVersion` asks for */
function checkVersion(kind: string, id: string, ifVersion: IfVersion, current: number | undefined): void {
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

/** @throws ConflictError when a record is to get a version that is older than its own */
function checkGivenVersion(kind: string, id: string, version: number, current: number | undefined): void {
  if (current === undefined || version >= current) return;
  throw new ConflictError(
    `record ${kind} ${quote(id)} is at version ${current}, it can't go back to ${version}`,
    current,
    { details: { kind, id } },
  );
}

/** @throws ConflictError unless the log ends where `ifLastSeq` says */
function checkLastSeq(log: string, ifLastSeq: number, lastSeq: number): void {
  if (ifLastSeq === lastSeq) return;
  throw new ConflictError(`log ${quote(log)} ends at seq ${lastSeq}, expected ${ifLastSeq}`, lastSeq, {
    details: { log },
  });
}

/** @throws ConflictError when a log is told to go on at a seq that it has given out already */
function checkStartSeq(log: string, startSeq: number, lastSeq: number): void {
  if (startSeq > lastSeq) return;
  throw new ConflictError(
    `log ${quote(log)} ends at seq ${lastSeq}, it can't go on at seq ${startSeq}`,
    lastSeq,
    { details: { log } },
  );
}

/** @throws ConflictError unless the entry is there, at the version asked for */
function checkEntry(
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
function checkAdd(
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

/** @throws ConflictError where the partition is there but had not expired by then */
function checkExpired(ifExpiredAt: number, expiresAt: number | null | undefined): void {
  if (expiresAt === undefined || (expiresAt !== null && expiresAt <= ifExpiredAt)) return;
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
