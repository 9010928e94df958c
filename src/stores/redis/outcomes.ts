import { HoldfastError } from '../../core/errors.ts';
import type { Batch, ChangeOperation, Operation, OperationResult } from '../../core/store.ts';
import { judge, type Standing } from '../shared/conditions.ts';
import { counterFields, hasLabels } from './pack.ts';

/** A batch that was committed, and where: undefined where it changed nothing. */
export interface Committed {
  readonly position: number | undefined;
  readonly replayed: boolean;
  readonly results: readonly OperationResult[];
}

/** What `commit.lua` says of a batch: committed, a condition that did not hold, or a drop that did not know all logs. */
export type Answer = Committed | { readonly error: Error } | { readonly logs: readonly string[] };

/** Pieces of text that lie between NULs, taken one by one. NUL is in no id and no value. */
export class Pieces {
  readonly #pieces: string[];
  #next = 0;

  constructor(text: string) {
    this.#pieces = text.split('\0');
  }

  get more(): boolean {
    return this.#next < this.#pieces.length;
  }

  text(): string {
    return this.#pieces[this.#next++]!;
  }

  number(): number {
    return Number(this.#pieces[this.#next++]);
  }

  texts(count: number): string[] {
    this.#next += count;
    return this.#pieces.slice(this.#next - count, this.#next);
  }
}

/** Reads what a call gave for its batches, in their order. */
export function readAnswers(reply: string, batches: readonly Batch[]): Answer[] {
  const pieces = new Pieces(reply);
  return batches.map((batch) => readAnswer(pieces, batch));
}

function readAnswer(pieces: Pieces, { operations }: Batch): Answer {
  const code = pieces.text();
  if (code === 'g') return { logs: pieces.texts(pieces.number()) };
  if (code === 'f') return { error: failure(operations[pieces.number()]!, pieces.texts(pieces.number())) };
  const position = pieces.text();
  const results = operations.map((operation) => readResult(pieces, operation));
  return { position: position === '' ? undefined : Number(position), replayed: code === 'r', results };
}

function readResult(pieces: Pieces, operation: Operation): OperationResult {
  switch (operation.op) {
    case 'check':
    case 'expire':
    case 'index':
    case 'embed':
      return {};
    case 'put':
      return { version: pieces.number(), created: pieces.text() === '1' };
    case 'add': {
      const version = pieces.number();
      const created = pieces.text() === '1';
      const fields = pieces.texts(pieces.number() * 2);
      return { version, created, counters: counterFields(fields.join('\0')) };
    }
    case 'append': {
      const { length } = operation.entries;
      if (hasLabels(operation)) return { count: pieces.number(), seqs: pieces.texts(length).map(Number) };
      const first = pieces.number();
      return { seqs: Array.from({ length }, (_, i) => first + i), count: length };
    }
    case 'rewrite':
      return { version: pieces.number() };
    default:
      return { count: pieces.number() };
  }
}

/** Why a condition did not hold, in the words of every store. */
function failure(operation: Operation, facts: readonly string[]): Error {
  const [fact = '', ...counter] = facts;
  const number = fact === '' ? undefined : Number(fact);
  const standing: Standing = {
    version: () => number,
    counter: () =>
      fact === 'c'
        ? { counter: true, value: JSON.stringify(counterFields(counter.join('\0'))) }
        : { counter: false, value: '' },
    lastSeq: () => number ?? 0,
    entryVersion: () => number,
    expiresAt: () => number ?? null,
  };
  try {
    judge(operation, standing);
  } catch (error) {
    return error as Error;
  }
  return new HoldfastError('internal', 'Redis refused a batch whose conditions hold');
}

/** The operations of a change in the journal. */
export function readOperations(pieces: Pieces): ChangeOperation[] {
  const operations: ChangeOperation[] = [];
  while (pieces.more) operations.push(readOperation(pieces));
  return operations;
}

function readOperation(pieces: Pieces): ChangeOperation {
  const code = pieces.text();
  switch (code) {
    case 'a':
      return { op: 'append', log: pieces.text(), firstSeq: pieces.number(), count: pieces.number() };
    case 'p':
    case '+':
      return {
        op: code === 'p' ? 'put' : 'add',
        kind: pieces.text(),
        id: pieces.text(),
        version: pieces.number(),
        created: pieces.text() === '1',
      };
    case 'd':
      return { op: 'delete', kind: pieces.text(), id: pieces.text() };
    case 'w':
      return { op: 'rewrite', log: pieces.text(), seq: pieces.number(), version: pieces.number() };
    case 't':
      return { op: 'truncate', log: pieces.text(), firstSeq: pieces.number(), lastSeq: pieces.number() };
    case 'e': {
      const at = pieces.text();
      return { op: 'expire', at: at === '' ? null : Number(at) };
    }
    default:
      return { op: 'drop', expired: pieces.text() === '1' };
  }
}
