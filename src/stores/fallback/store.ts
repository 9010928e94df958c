import { randomBytes } from 'node:crypto';
import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import { isUnavailable, StoreUnavailableError } from '../../core/errors.ts';
import { KeyedQueue } from '../../core/keyed-queue.ts';
import type {
  Batch,
  Change,
  ChangePage,
  CommitGroups,
  Cursor,
  IndexHit,
  IndexRange,
  LogInfo,
  LogPage,
  LogRange,
  Page,
  Partition,
  Receipt,
  RecordKey,
  RecordRange,
  Store,
  Stored,
  StoreFeatures,
  StoreHealth,
  StoreRecovery,
  TextMatches,
  TextQuery,
} from '../../core/store.ts';
import { Lifetime } from '../shared/lifetime.ts';
import { partitionKey } from '../shared/pages.ts';
import { Waiters } from '../shared/waiters.ts';
import { Backlog, type RejectedBatch } from './backlog.ts';
import { Flights } from './flights.ts';
import { Gates } from './gates.ts';
import { healthOf } from './health.ts';
import { type FallbackOptions, type FallbackState, warnOfLoss, withDefaults } from './options.ts';
import { Prober } from './prober.ts';
import { Replayer } from './replayer.ts';
import { SetAside } from './set-aside.ts';
import { Source, within } from './source.ts';
import { Spool } from './spool.ts';
import { needsStore, obstacle } from './truth.ts';
import { View } from './view.ts';

/** Ids of batches that had none begin like this, and are not shown. */
const OWN_ID = '$fb:';

/**
 * A store that goes on taking writes while it is away: into a spool, from which they are replayed when it is back, each
 * once and in each partition in their order.
 * @param store an open store, or how to open it: it need not be reachable yet
 * @param spool where writes go meanwhile; durable, unless they may be lost with the process. Both are closed with this
 * @throws InvalidInputError for bad options, and whatever else than `StoreUnavailableError` opening the store throws
 */
export async function withFallback(
  store: Store | (() => Promise<Store>),
  spool: Store,
  options: FallbackOptions = {},
): Promise<FallbackStore> {
  return FallbackStore.open(store, spool, options);
}

export class FallbackStore implements Store {
  readonly #source: Source;
  readonly #spoolStore: Store;
  readonly #options: Required<FallbackOptions>;
  readonly #spool: Spool;
  readonly #view: View;
  readonly #backlog: Backlog;
  readonly #replayer: Replayer;
  readonly #aside: SetAside;
  readonly #gates = new Gates();
  /** Batches for which the way has to be found first: none of their partition may overtake them. */
  readonly #undecided = new KeyedQueue();
  readonly #flights: Flights;
  readonly #prober: Prober;
  /** Who waits for changes while the store is away. */
  readonly #waiters = new Waiters();
  readonly #life = new Lifetime('store');
  readonly #writer = `${OWN_ID}${randomBytes(9).toString('base64url')}:`;
  #batches = 0;
  #state: FallbackState = 'degraded';
  #since = Date.now();
  #replaying: Promise<void> = Promise.resolve();
  #stopped = false;

  private constructor(source: Source, spool: Store, options: Required<FallbackOptions>) {
    this.#source = source;
    this.#spoolStore = spool;
    this.#options = options;
    this.#spool = new Spool(spool);
    this.#view = new View(spool);
    this.#backlog = new Backlog(spool);
    this.#flights = new Flights(options.timeoutMs, () => this.#lose());
    this.#prober = new Prober(options.probeMs, () => this.#probe());
    this.#aside = new SetAside(options.probeMs);
    this.#replayer = new Replayer({
      backlog: this.#backlog,
      gates: this.#gates,
      aside: this.#aside,
      commit: (batch) => this.#flights.track(() => source.store.commit(batch)),
      get: async (partition, kind, id) =>
        (await this.#flights.track(() => source.store.getRecords([{ partition, kind, id }])))[0],
      active: () => this.#state === 'replaying' && !this.#stopped,
      onRejected: options.onRejected,
      onError: options.onError,
    });
  }

  /** See {@link withFallback}. */
  static async open(
    store: Store | (() => Promise<Store>),
    spool: Store,
    options: FallbackOptions = {},
  ): Promise<FallbackStore> {
    const all = withDefaults(options);
    if (!spool.features.persistent) warnOfLoss();
    const source = new Source(store);
    try {
      // What takes longer goes on, and is waited for in the background.
      await within(all.timeoutMs, source.open());
    } catch (error) {
      if (!isUnavailable(error)) throw error;
    }
    const opened = new FallbackStore(source, spool, all);
    await opened.#backlog.open();
    await opened.#start();
    return opened;
  }

  /** The store's, as soon as it is known. */
  get name(): string {
    return this.#source.opened?.name ?? 'fallback';
  }

  get features(): StoreFeatures {
    return (
      this.#source.opened?.features ?? {
        persistent: this.#spoolStore.features.persistent,
        shared: false,
        textSearch: false,
        vectorSearch: false,
      }
    );
  }

  /** Those of the store itself. */
  get groups(): CommitGroups | undefined {
    return this.#source.opened?.groups;
  }

  readonly recovery: StoreRecovery = {
    reconnect: async () => {
      this.#life.check();
      if (this.#state === 'degraded') await this.#look();
      else await this.#source.store.recovery?.reconnect?.();
    },
    replay: async () => {
      this.#life.check();
      if (this.#state === 'degraded') await this.#look();
      await this.#replaying;
      if (this.#state === 'degraded') throw needsStore('its spool');
      return this.#backlog.count;
    },
  };

  get state(): FallbackState {
    return this.#state;
  }

  /**
   * While the store is away: resolves when the spool has the batch. Its seqs and versions are then provisional, and its
   * cursor is not known.
   * @throws StoreUnavailableError while the store is away, when the batch needs to know what is stored
   */
  commit(batch: Batch): Promise<Receipt> {
    try {
      this.#life.check();
    } catch (error) {
      return Promise.reject(error);
    }
    const named = batch.id === undefined ? { ...batch, id: this.#nextId() } : batch;
    return this.#state === 'normal' && this.#undecided.size === 0
      ? this.#send(named, () => this.#take(named))
      : this.#commitAside(named, true);
  }

  async getRecords(keys: readonly RecordKey[]): Promise<(Stored | undefined)[]> {
    return this.#read(
      keys.map(({ partition }) => partition),
      (store) => store.getRecords(keys),
      (view) => view.getRecords(keys),
    );
  }

  async listRecords(
    partition: Partition,
    kind: string | undefined,
    range: RecordRange,
  ): Promise<Page<Stored>> {
    return this.#read(
      [partition],
      (store) => store.listRecords(partition, kind, range),
      (view) => view.listRecords(partition, kind, range),
    );
  }

  async listLogs(partition: Partition): Promise<LogInfo[]> {
    return this.#read(
      [partition],
      (store) => store.listLogs(partition),
      (view) => view.listLogs(partition),
    );
  }

  async readLog(partition: Partition, log: string, range: LogRange): Promise<LogPage> {
    return this.#read(
      [partition],
      (store) => store.readLog(partition, log, range),
      (view) => view.readLog(partition, log, range),
    );
  }

  async queryIndex(range: IndexRange): Promise<Page<IndexHit>> {
    return this.#read(
      [],
      (store) => store.queryIndex(range),
      (view) => view.queryIndex(range),
    );
  }

  async readChanges(after: Cursor | 'oldest' | 'newest', limit: number): Promise<ChangePage> {
    const page = await this.#ask('the journal', (store) => store.readChanges(after, limit));
    return { ...page, changes: page.changes.map(withoutOwnId) };
  }

  /** While the store is away: resolves as soon as it is back, so that whoever waits looks. */
  async waitForChanges(after: Cursor, signal?: AbortSignal): Promise<void> {
    this.#life.check();
    signal?.throwIfAborted();
    if (this.#state === 'degraded') return this.#waiters.wait(signal);
    const stop = new AbortController();
    const either = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal;
    try {
      // A wait that was under way when the store was lost may never end.
      await Promise.race([this.#source.store.waitForChanges(after, either), this.#waiters.wait(either)]);
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      this.#lose();
      await this.#waiters.wait(signal);
    } finally {
      stop.abort();
    }
  }

  /** @throws StoreUnavailableError also during a replay, which goes by the batch ids that the journal keeps */
  async trimChanges(upTo: Cursor, keep?: readonly Cursor[]): Promise<void> {
    this.#life.check();
    if (this.#state !== 'normal') throw needsStore('trimming the journal');
    await this.#ask('trimming the journal', (store) => store.trimChanges(upTo, keep));
  }

  async searchText(query: TextQuery): Promise<TextMatches> {
    return this.#ask('a search', (store) => store.searchText(query));
  }

  /** Works as long as it takes writes; `problems` say when that is to the spool. */
  async health(): Promise<StoreHealth> {
    this.#life.check();
    const rejected = await this.#backlog.rejectedCount();
    const spool = await this.#spoolStore.health();
    const store = await this.#ask('its health', (store) => store.health()).catch((error) => {
      if (!isUnavailable(error)) throw error;
      return undefined;
    });
    const [state, since, aside] = [this.#state, this.#since, this.#aside.size];
    return healthOf({ store, spool, state, since, spooled: this.#backlog.count, rejected, aside });
  }

  /** Batches that were acknowledged, and refused by the store when they were replayed; the oldest first. */
  async rejected({
    after = 0,
    limit = 100,
  }: {
    after?: number;
    limit?: number;
  } = {}): Promise<RejectedBatch[]> {
    this.#life.check();
    return this.#backlog.rejected(after, limit);
  }

  /** Forgets rejected batches up to and with this one. */
  async forgetRejected(upToSeq: number): Promise<void> {
    this.#life.check();
    await this.#backlog.forgetRejected(upToSeq);
  }

  /**
   * What is in a durable spool stays there, and is replayed when it is opened again.
   * @throws StoreUnavailableError when the spool is not durable and still holds something: that is lost
   */
  async close(): Promise<void> {
    return this.#life.end(() => this.#close());
  }

  async #close(): Promise<void> {
    const { closeTimeoutMs, timeoutMs } = this.#options;
    const durable = this.#spoolStore.features.persistent;
    // The last chance for what would be lost.
    if (!durable && this.#state === 'degraded') await within(timeoutMs, this.#prober.now());
    await within(closeTimeoutMs, this.#replaying);
    this.#stopped = true;
    await within(timeoutMs, Promise.all([this.#prober.stop(), this.#replaying]));
    this.#waiters.close('store');
    try {
      await within(timeoutMs, this.#source.close());
    } catch (error) {
      if (!isUnavailable(error)) throw error;
    } finally {
      this.#flights.abandon();
      this.#flights.failAll(new StoreUnavailableError('the store gave no answer until it was closed'));
      await this.#spoolStore.close();
    }
    const lost = durable ? 0 : this.#backlog.count;
    if (lost > 0) {
      throw new StoreUnavailableError(
        `acknowledged batches lost with the spool, which is not durable: ${lost}`,
      );
    }
  }

  #nextId(): string {
    return this.#writer + (this.#batches++).toString(36);
  }

  /** Commits a batch to the store; elsewhere, when the store is lost before it has answered. */
  #send(batch: Batch, elsewhere: () => Promise<Receipt>): Promise<Receipt> {
    return this.#flights.track(
      () => this.#source.store.commit(batch),
      () => (obstacle(batch, batch.fresh === true) === undefined ? elsewhere() : undefined),
    );
  }

  #take(batch: Batch): Promise<Receipt> {
    return this.#gates.run(partitionKey(batch.partition), () => this.#toSpool(batch));
  }

  async #toSpool(batch: Batch): Promise<Receipt> {
    const receipt = await this.#spool.commit(batch, !batch.id!.startsWith(OWN_ID));
    if (!receipt.replayed) this.#backlog.count++;
    return receipt;
  }

  /**
   * Commits a batch while not all is normal. What needs the store waits a moment for its partition to be replayed, if
   * that is all that is in the way.
   */
  async #commitAside(batch: Batch, patient: boolean): Promise<Receipt> {
    const key = partitionKey(batch.partition);
    if (this.#state === 'degraded' && !this.#undecided.has(key)) return this.#take(batch);
    // One after the other: other processes may clear the partition away, and the store come and go, between two looks.
    const receipt = await this.#undecided.run(key, () =>
      this.#gates.run(key, () => this.#decide(batch, patient)),
    );
    if (receipt) return receipt;
    await this.#settled([batch.partition]);
    return this.#commitAside(batch, false);
  }

  /** Sends a batch the way that its partition goes. @returns undefined where it may wait for a replay */
  async #decide(batch: Batch, patient: boolean): Promise<Receipt | undefined> {
    const behind = this.#state === 'replaying' && (await this.#backlog.holds(batch.partition));
    if (this.#state === 'degraded') return this.#toSpool(batch);
    if (!behind) return this.#send(batch, () => this.#toSpool(batch));
    return patient && obstacle(batch, false) ? undefined : this.#toSpool(batch);
  }

  /** Waits a moment for the replay of partitions; whether the store has all there is in them. */
  async #settled(partitions: readonly Partition[]): Promise<boolean> {
    for (const partition of partitions) {
      if (this.#state !== 'replaying') break;
      if (!(await this.#backlog.holds(partition))) continue;
      await within(this.#options.timeoutMs, this.#replayer.drain(partition).catch(ignore));
      if (await this.#backlog.holds(partition)) return false;
    }
    return this.#state !== 'degraded';
  }

  async #read<T>(
    partitions: readonly Partition[],
    fromStore: (store: Store) => Promise<T>,
    fromView: (view: View) => Promise<T>,
  ): Promise<T> {
    this.#life.check();
    if (this.#state === 'normal' || (await this.#settled(partitions))) {
      try {
        return await this.#flights.track(() => fromStore(this.#source.store));
      } catch (error) {
        if (!isUnavailable(error)) throw error;
      }
    }
    return fromView(this.#view);
  }

  /** Asks the store for what no spool can tell. */
  async #ask<T>(what: string, call: (store: Store) => Promise<T>): Promise<T> {
    this.#life.check();
    if (this.#state === 'degraded') throw needsStore(what);
    return this.#flights.track(() => call(this.#source.store));
  }

  /** The store is away: from this moment on nothing is sent to it but probes. */
  #lose(): void {
    if (this.#state !== 'degraded') {
      this.#since = Date.now();
      this.#enter('degraded');
      this.#prober.start();
    }
    this.#flights.abandon();
  }

  /** Asks at once whether the store is back. @throws StoreUnavailableError where it is not */
  async #look(): Promise<void> {
    await this.#source.opened?.recovery?.reconnect?.();
    await this.#prober.now();
    if (this.#state === 'degraded') throw needsStore('its spool');
  }

  async #start(): Promise<void> {
    if (!this.#source.opened) return this.#prober.start();
    if (this.#backlog.count === 0) return this.#enter('normal');
    this.#enter('replaying');
    this.#replaying = this.#replay();
  }

  async #probe(): Promise<boolean> {
    try {
      const store = await within(this.#options.timeoutMs, this.#source.open());
      if (!store) return false;
      await this.#flights.track(() => store.readChanges('newest', 0));
    } catch (error) {
      if (!isUnavailable(error)) this.#options.onError(error);
      return false;
    }
    if (this.#stopped) return true;
    this.#enter('replaying');
    this.#waiters.wake();
    this.#replaying = this.#replaying.then(() => this.#replay());
    return true;
  }

  async #replay(): Promise<void> {
    try {
      for (;;) {
        const { taken } = this.#spool;
        const { found, aside } = await this.#replayer.all();
        // Nothing is in the spool, nor on its way there.
        if (found === 0 && this.#spool.underWay === 0 && this.#spool.taken === taken) break;
        // What is on its way may need the event loop to get there; what is set aside has to wait a moment.
        await (found > 0 && found === aside ? delay(this.#options.probeMs) : setImmediate());
      }
    } catch (error) {
      if (this.#stopped) return;
      if (!isUnavailable(error)) this.#options.onError(error);
      return this.#lose();
    }
    if (this.#state !== 'replaying') return;
    this.#backlog.count = 0;
    this.#aside.clear();
    this.#prober.calm();
    this.#enter('normal');
    await this.#backlog.tidy().catch(this.#options.onError);
  }

  #enter(state: FallbackState): void {
    this.#state = state;
    this.#options.onStateChange(state);
  }
}

function withoutOwnId(change: Change): Change {
  if (!change.batchId?.startsWith(OWN_ID)) return change;
  const { batchId: _, ...rest } = change;
  return rest;
}

function ignore(): void {}
