import type { AppendEntry, OperationResult } from '../../core/store.ts';
import type { Outcome } from '../shared/group-commit.ts';
import { bigintArray, intArray, textArray } from './arrays.ts';
import { conditionOf } from './call.ts';
import { cursorOf } from './facts.ts';
import type { KnownLogs, KnownPartition } from './known.ts';
import type { Plan, Planned } from './waves.ts';

/** An append: its log, how many entries of the group stand there before its own, and its own. */
interface Append {
  readonly head: number;
  readonly offset: number;
  readonly count: number;
}

/** A group of batches that only append to known logs and check records, as `append_group` takes it. */
export class AppendCall {
  readonly batches: readonly Planned[];
  readonly #logs = { pk: [] as number[], count: [] as number[] };
  readonly #places = new Map<number, number>();
  readonly #checks = {
    partition: [] as number[],
    kind: [] as string[],
    id: [] as string[],
    if: [] as number[],
  };
  readonly #entries = { log: [] as number[], offset: [] as number[], given: [] as AppendEntry[] };
  readonly #lines: string[] = [];
  /** Of each batch, its operations: an append, or nothing for a check. */
  readonly #appends: (Append | undefined)[][] = [];

  /** Undefined where a log is not known. */
  static of(plan: Plan, known: KnownLogs): AppendCall | undefined {
    if (plan.waves.length !== 1 || !plan.plain) return undefined;
    const call = new AppendCall(plan.waves[0]!);
    for (const { batch } of call.batches) {
      const partition = known.find(batch.partition);
      if (!partition || !call.#add(batch.operations, partition)) return undefined;
    }
    return call;
  }

  private constructor(batches: readonly Planned[]) {
    this.batches = batches;
  }

  /** The call's arguments after its locks. */
  values(): (Buffer | string)[] {
    const [c, h, e] = [this.#checks, this.#logs, this.#entries];
    const marked = e.given.some(({ mark }) => mark !== undefined);
    const versioned = e.given.some(({ version }) => version !== undefined);
    return [
      ...[bigintArray(c.partition), textArray(c.kind), textArray(c.id), bigintArray(c.if)],
      ...[bigintArray(h.pk), intArray(h.count), intArray(e.log), intArray(e.offset)],
      textArray(e.given.map(({ value }) => value)),
      textArray(marked ? e.given.map(({ mark }) => mark ?? null) : []),
      intArray(versioned ? e.given.map(({ version }) => version ?? null) : []),
      `[${this.#lines.join(',')}]`,
    ];
  }

  /** Receipts, of the answer: the position in the journal, and of each log the last seq before. */
  outcomes([place, ...bases]: readonly number[]): Outcome[] {
    return this.#appends.map((appends, i): Outcome => {
      const results = appends.map((append): OperationResult => {
        if (!append) return {};
        const first = bases[append.head - 1]! + append.offset + 1;
        return { seqs: Array.from({ length: append.count }, (_, k) => first + k), count: append.count };
      });
      return { cursor: cursorOf({ place: place!, count: i + 1 }), replayed: false, results };
    });
  }

  /** Whether all is known of a batch's logs. */
  #add(operations: Planned['batch']['operations'], { pk, logs }: KnownPartition): boolean {
    const appends: (Append | undefined)[] = [];
    let line = `[${pk},0`;
    for (const operation of operations) {
      if (operation.op === 'check') {
        this.#checks.partition.push(pk);
        this.#checks.kind.push(operation.kind);
        this.#checks.id.push(operation.id);
        this.#checks.if.push(conditionOf(operation.ifVersion)!);
        appends.push(undefined);
      } else if (operation.op === 'append') {
        const log = logs.get(operation.log);
        if (log === undefined) return false;
        const append = this.#append(log, operation.entries);
        line += `,["A",${JSON.stringify(operation.log)},${append.head},${append.offset},${append.count}]`;
        appends.push(append);
      }
    }
    if (!appends.some((append) => append !== undefined)) return false;
    this.#lines.push(`${line}]`);
    this.#appends.push(appends);
    return true;
  }

  #append(log: number, entries: readonly AppendEntry[]): Append {
    let head = this.#places.get(log);
    if (head === undefined) {
      head = this.#logs.pk.push(log);
      this.#logs.count.push(0);
      this.#places.set(log, head);
    }
    const offset = this.#logs.count[head - 1]!;
    for (const [i, entry] of entries.entries()) {
      this.#entries.log.push(head);
      this.#entries.offset.push(offset + i + 1);
      this.#entries.given.push(entry);
    }
    this.#logs.count[head - 1] = offset + entries.length;
    return { head, offset, count: entries.length };
  }
}
