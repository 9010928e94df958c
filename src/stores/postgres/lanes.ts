import { ClosedError, HoldfastError, isUnavailable, type StoreUnavailableError } from '../../core/errors.ts';
import type { Batch, CommitGroups, Receipt } from '../../core/store.ts';
import { notSent, type Outcome } from '../shared/group-commit.ts';
import { GroupSizes } from '../shared/group-sizes.ts';
import { partitionKey } from '../shared/pages.ts';

/** How many groups may be under way at once, each on a connection of its own. */
export const LANES = 4;
/** So many batches are worth a call of their own while another call is under way. */
const WORTH_A_CALL = 64;
/** What waits goes out beside a call that takes longer. */
const PATIENCE_MS = 10;
const MAX_BATCHES = 1024;

interface Waiting {
  readonly batch: Batch;
  readonly key: string;
  resolve(receipt: Receipt): void;
  reject(error: unknown): void;
}

/**
 * Group commit over several connections. Batches that arrive together go out together, large groups as two halves, so
 * that the server works on one while this process prepares the other. A partition's batches never overtake one
 * another: those of a partition that is under way wait for its answer, and fail with it where the server is away.
 */
export class Lanes {
  readonly #apply: (lane: number, batches: readonly Batch[]) => Promise<Outcome[]>;
  /** The partitions that each lane is busy with. */
  readonly #busy: (ReadonlySet<string> | undefined)[] = Array(LANES).fill(undefined);
  readonly #sizes = new GroupSizes();
  #waiting: Waiting[] = [];
  #scheduled = false;
  #patience: NodeJS.Timeout | undefined;
  #closed = false;
  #settled: (() => void) | undefined;

  constructor(apply: (lane: number, batches: readonly Batch[]) => Promise<Outcome[]>) {
    this.#apply = apply;
  }

  /** How batches went together. */
  get groups(): CommitGroups {
    return this.#sizes.told(this.#waiting.length);
  }

  commit(batch: Batch): Promise<Receipt> {
    if (this.#closed) return Promise.reject(new ClosedError('store'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ batch, key: partitionKey(batch.partition), resolve, reject });
      this.#schedule();
    });
  }

  /** Takes no more batches; resolves when those that were taken are settled. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#idle) return;
    await new Promise<void>((resolve) => {
      this.#settled = resolve;
    });
  }

  get #idle(): boolean {
    return this.#waiting.length === 0 && this.#busy.every((keys) => keys === undefined);
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.length === 0) return;
    this.#scheduled = true;
    // After the poll phase: all requests that came in with this turn of the event loop share the commit.
    setImmediate(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#busy.every((keys) => keys === undefined)) {
      const half =
        this.#waiting.length >= 2 * WORTH_A_CALL ? Math.ceil(this.#waiting.length / 2) : MAX_BATCHES;
      this.#start(0, Math.min(half, MAX_BATCHES));
    }
    const free = this.#busy.indexOf(undefined);
    // Two lanes are for speed; the others are for when these are stuck.
    if (this.#waiting.length >= WORTH_A_CALL && free >= 0 && free < 2) this.#start(free, MAX_BATCHES);
    if (this.#waiting.length > 0) this.#bePatient();
  }

  /** What still waits after a while has met a call that takes long: it does not have to wait for that. */
  #bePatient(): void {
    this.#patience ??= setTimeout(() => {
      this.#patience = undefined;
      const free = this.#busy.indexOf(undefined);
      if (free >= 0) this.#start(free, MAX_BATCHES);
      if (this.#waiting.length > 0) this.#bePatient();
    }, PATIENCE_MS);
  }

  #start(lane: number, most: number): void {
    const group = this.#take(most);
    if (group.length === 0) return;
    this.#sizes.add(group.length);
    this.#busy[lane] = new Set(group.map(({ key }) => key));
    this.#apply(
      lane,
      group.map(({ batch }) => batch),
    )
      .then(
        (outcomes) => this.#settle(group, outcomes),
        (error: Error) => this.#settle(group, Array(group.length).fill(error)),
      )
      .finally(() => {
        this.#busy[lane] = undefined;
        this.#schedule();
        if (this.#idle) this.#end();
      });
  }

  /** The first that wait, but none of a partition that is under way. */
  #take(most: number): Waiting[] {
    const group: Waiting[] = [];
    const rest: Waiting[] = [];
    for (const waiting of this.#waiting) {
      const blocked = group.length === most || this.#busy.some((keys) => keys?.has(waiting.key));
      (blocked ? rest : group).push(waiting);
    }
    this.#waiting = rest;
    return group;
  }

  #end(): void {
    clearTimeout(this.#patience);
    this.#patience = undefined;
    this.#settled?.();
  }

  #settle(group: readonly Waiting[], outcomes: readonly Outcome[]): void {
    const away = new Map<string, StoreUnavailableError>();
    for (const [i, { key, resolve, reject }] of group.entries()) {
      const outcome = outcomes[i] ?? new HoldfastError('internal', 'the store gave no outcome for a batch');
      if (!(outcome instanceof Error)) {
        resolve(outcome);
        continue;
      }
      reject(outcome);
      if (isUnavailable(outcome)) away.set(key, outcome);
    }
    if (away.size > 0) this.#giveUp(away);
  }

  /** Fails what waits behind batches that the server was not there for: it must not be done before them. */
  #giveUp(away: ReadonlyMap<string, StoreUnavailableError>): void {
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ key }) => !away.has(key));
    for (const { key, reject } of waiting) {
      const reason = away.get(key);
      if (reason) reject(notSent(reason));
    }
  }
}
