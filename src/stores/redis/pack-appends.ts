import type { Operation } from '../../core/store.ts';
import type { Keys } from './keys.ts';
import { condition, hasLabels, type Sending } from './pack.ts';

/** The short way is for small batches. */
const MAX_OPERATIONS = 100;

type Append = Operation & { op: 'append' };

/** The append of a batch that does nothing else, but for checks: `append.lua` commits such batches. */
export function plainAppend({ batch: { id, operations } }: Sending): Append | undefined {
  if (id !== undefined || operations.length > MAX_OPERATIONS) return undefined;
  let append: Append | undefined;
  for (const operation of operations) {
    if (operation.op === 'check') continue;
    if (append || operation.op !== 'append' || !isPlain(operation)) return undefined;
    append = operation;
  }
  return append;
}

function isPlain(append: Append): boolean {
  return append.ifLastSeq === undefined && append.startSeq === undefined && !hasLabels(append);
}

/** Packs batches as the keys and arguments of `append.lua`. What batches have in common, a plan, is sent once. */
export class AppendPacker {
  readonly keys: string[] = [];
  readonly #plans = new Map<string, string>();
  readonly #planPieces: string[] = [];
  readonly #pieces: string[] = [];
  readonly #names: Keys;

  constructor(names: Keys) {
    this.#names = names;
  }

  /** The script's last argument: the plans, the number of shards, and their batches. */
  text(shards: number): string {
    return [this.#plans.size, ...this.#planPieces, shards, ...this.#pieces, ''].join('\0');
  }

  addShard(shard: number, batches: readonly Sending[], appends: readonly Append[]): void {
    this.keys.push(this.#names.journal(shard));
    this.#pieces.push(String(batches.length));
    for (let i = 0; i < batches.length; i++) this.#addBatch(batches[i]!, appends[i]!);
  }

  #addBatch({ batch, names }: Sending, { log, entries }: Append): void {
    this.keys.push(names.hash, names.stream(log));
    this.#pieces.push(this.#planOf(batch.operations, log, entries.length));
    for (const { value } of entries) this.#pieces.push(value);
  }

  #planOf(operations: readonly Operation[], log: string, entries: number): string {
    let name = `${log}\0${entries}`;
    for (const operation of operations)
      if (operation.op === 'check') name += `\0${operation.kind}\0${operation.id}\0${operation.ifVersion}`;
    const known = this.#plans.get(name);
    if (known !== undefined) return known;
    const plan = String(this.#plans.size + 1);
    this.#plans.set(name, plan);
    this.#addPlan(operations, log, entries);
    return plan;
  }

  #addPlan(operations: readonly Operation[], log: string, entries: number): void {
    const checks = operations.flatMap((operation, place) =>
      operation.op === 'check'
        ? [String(place), operation.kind, operation.id, condition(operation.ifVersion)]
        : [],
    );
    this.#planPieces.push(log, String(entries), String(checks.length / 4), ...checks);
  }
}
