import { HoldfastError } from '../../core/errors.ts';
import type { Operation, OperationResult, Receipt } from '../../core/store.ts';
import { judge, type Standing } from '../shared/conditions.ts';
import type { Outcome } from '../shared/group-commit.ts';
import type { Call } from './call.ts';
import { CODES } from './codes.ts';

/** What `commit_group` answers: JSON of parallel arrays. Places count from 1. */
export interface Reply {
  /** The transaction's position in the journal. */
  readonly place: number;
  /** Facts: operation, and its two numbers. */
  readonly o: readonly number[];
  readonly a: readonly (number | null)[];
  readonly b: readonly (number | null)[];
  /** Of each fact, the partition's primary key; and of appends, their logs'. */
  readonly p: readonly (number | null)[];
  readonly logsOf: readonly number[];
  readonly logs: readonly (number | null)[];
  /** What facts can't say in numbers, JSON text: a counter's fields, seqs that don't follow each other, a count. */
  readonly to: readonly number[];
  readonly text: readonly string[];
  /** Operations whose condition did not hold, and what was found: a version, a seq or a time; a counter's value. */
  readonly failed: readonly number[];
  readonly at: readonly (number | null)[];
  readonly counters: readonly (string | null)[];
  /** Batches whose id was known, and their receipts. */
  readonly again: readonly number[];
  readonly receipts: readonly string[];
}

type Fact = readonly [code: number, a?: Count, b?: Count, text?: string | null];
type Count = number | null | undefined;

/** What became of each batch of a call, in the order in which they were done. */
export function outcomesOf(call: Call, reply: Reply): Outcome[] {
  const facts: (Fact | undefined)[] = [];
  const changed = new Set<number>();
  reply.o.forEach((o, i) => {
    const { operation, batch } = call.operations[o - 1]!;
    facts[o] = [CODES[operation.op], reply.a[i]!, reply.b[i]!];
    if (reply.a[i]! > 0) changed.add(batch);
  });
  reply.to.forEach((o, i) => {
    const [code, a, b] = facts[o]!;
    facts[o] = [code, a, b, reply.text[i]!];
  });
  const receipts = new Map(reply.again.map((batch, i) => [batch, replayed(reply.receipts[i]!)]));
  const errors = errorsOf(call, reply, receipts);
  let o = 0;
  let count = 0;
  return call.batches.map(({ batch }, i): Outcome => {
    const first = o + 1;
    o += batch.operations.length;
    if (changed.has(i + 1)) count++;
    const settled = receipts.get(i + 1) ?? errors.get(i + 1);
    if (settled) return settled;
    const results = batch.operations.map(({ op }, k) => resultOf(facts[first + k] ?? [CODES[op]]));
    return { cursor: cursorOf({ place: reply.place, count }), replayed: false, results };
  });
}

/** A position in the journal: the first `count` changes of a transaction are behind it, and all transactions before. */
export interface Position {
  readonly place: number;
  readonly count: number;
}

export function cursorOf({ place, count }: Position): string {
  return `${place}.${count}`;
}

/** The receipt of a batch that was committed before, as it was stored: its place, and a fact for each operation. */
function replayed(text: string): Receipt {
  const [place, count, facts] = JSON.parse(text) as [number, number, Fact[]];
  return { cursor: cursorOf({ place, count }), replayed: true, results: facts.map(resultOf) };
}

/** The error of each batch that failed: that of its first operation whose condition did not hold. */
function errorsOf(call: Call, reply: Reply, receipts: ReadonlyMap<number, Receipt>): Map<number, Error> {
  const errors = new Map<number, Error>();
  const failed = reply.failed.map((o, i) => ({ o, at: reply.at[i]!, value: reply.counters[i]! }));
  for (const { o, at, value } of failed.sort((one, other) => one.o - other.o)) {
    const { operation, batch } = call.operations[o - 1]!;
    if (!errors.has(batch) && !receipts.has(batch))
      errors.set(batch, judged(operation, at ?? undefined, value));
  }
  return errors;
}

function judged(operation: Operation, found: number | undefined, value: string | null): Error {
  const standing: Standing = {
    version: () => found,
    counter: () => ({ value: value ?? '{}', counter: value !== null }),
    lastSeq: () => found ?? 0,
    entryVersion: () => found,
    expiresAt: () => found ?? null,
  };
  try {
    judge(operation, standing);
  } catch (error) {
    return error as Error;
  }
  return new HoldfastError('internal', `the database refused a condition of ${operation.op} that holds`);
}

/** What came of an operation, of its fact; an operation without one is a check, or had nothing to do. */
function resultOf([code, a, b, text]: Fact): OperationResult {
  switch (code) {
    case CODES.put:
      return { version: a!, created: b === 1 };
    case CODES.add:
      return { version: a!, created: b === 1, counters: JSON.parse(text!) };
    case CODES.append: {
      const count = b ?? 0;
      return { seqs: text ? JSON.parse(text) : Array.from({ length: count }, (_, i) => a! + i), count };
    }
    case CODES.rewrite:
      return { version: a! };
    case CODES.truncate:
    case CODES.unindex:
      return { count: text ? Number(text) : 0 };
    case CODES.delete:
    case CODES.drop:
      return { count: a ?? 0 };
    default:
      return {};
  }
}
