import type { AppendEntry, OperationResult } from '../../core/store.ts';
import type { Outcome } from '../shared/group-commit.ts';
import { bigintArray, intArray, textArray } from './arrays.ts';
import { conditionOf } from './call.ts';
import { cursorOf } from './facts.ts';
import type { KnownLogs, KnownPartition } from './known.ts';
import type { Plan, Planned } from './waves.ts';

interface Head {
  readonly log: number;
  readonly entries: AppendEntry[];
}

/** An append: its log, how many entries of the group stand there before its own, and its own. */
interface Append {
  readonly head: number;
  readonly offset: number;
  readonly count: number;
}

/** A group of batches that only append to known logs and check records, as `append_group` takes it. */
export class AppendCall {
  readonly batches: readonly Planned[];
  readonly #heads: Head[] = [];
  readonly #places = new Map<number, number>();
  readonly #checks = {
    partition: [] as number[],
    kind: [] as string[],
    id: [] as string[],
    if: [] as number[],
  };
  readonly #lines = { appends: [] as Append[], heads: [] as string[], tails: [] as string[] };
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
    return call.#lines.appends.length > 0 ? call : undefined;
  }

  private constructor(batches: readonly Planned[]) {
    this.batches = batches;
  }

  /** The call's arguments after its locks. */
  values(): Buffer[] {
    const { appends, heads, tails } = this.#lines;
    const [c, h] = [this.#checks, this.#heads];
    const entries = h.flatMap((head) => head.entries);
    let from = 0;
    const starts = h.map((head) => {
      from += head.entries.length;
      return from - head.entries.length;
    });
    const marked = entries.some(({ mark }) => mark !== undefined);
    const versioned = entries.some(({ version }) => version !== undefined);
    return [
      ...[bigintArray(c.partition), textArray(c.kind), textArray(c.id), bigintArray(c.if)],
      ...[
        bigintArray(h.map(({ log }) => log)),
        intArray(starts),
        intArray(h.map((head) => head.entries.length)),
      ],
      textArray(entries.map(({ value }) => value)),
      textArray(marked ? entries.map(({ mark }) => mark ?? null) : []),
      intArray(versioned ? entries.map(({ version }) => version ?? null) : []),
      ...[intArray(appends.map(({ head }) => head)), intArray(appends.map(({ offset }) => offset + 1))],
      ...[textArray(heads), textArray(tails)],
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
        if (log === undefined || appends.some((append) => append !== undefined)) return false;
        line += `,["a",${JSON.stringify(operation.log)},`;
        appends.push(this.#append(log, operation.entries));
      }
    }
    const append = appends.find((one) => one !== undefined);
    if (!append) return false;
    this.#lines.appends.push(append);
    this.#lines.heads.push(line);
    this.#lines.tails.push(`,${append.count}]]`);
    this.#appends.push(appends);
    return true;
  }

  #append(log: number, entries: readonly AppendEntry[]): Append {
    let head = this.#places.get(log);
    if (head === undefined) {
      head = this.#heads.push({ log, entries: [] });
      this.#places.set(log, head);
    }
    const known = this.#heads[head - 1]!.entries;
    const append = { head, offset: known.length, count: entries.length };
    for (const entry of entries) known.push(entry);
    return append;
  }
}
