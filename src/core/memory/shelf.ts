import { isConflict } from '../errors.ts';
import { decodeJson } from '../json.ts';
import { KeyedQueue } from '../keyed-queue.ts';
import type { Memory } from '../model/memory.ts';
import { indexes, kinds } from '../partitions.ts';
import type { ServiceContext } from '../services.ts';
import { type Operation, PARTITION_INDEX, type Page, type Stored } from '../store.ts';
import type { MemorySettings } from './options.ts';
import { type Owner, ownerOfPartition } from './owner.ts';
import { type Content, type Held, newest, type Superseded, toMemory, united } from './records.ts';
import { endOfBoth, fadesAt, type Life, used } from './retention.ts';
import {
  type ClaimName,
  type Committed,
  claimsOf,
  loadMemories,
  type MemoryCounts,
  MemoryTransaction,
  transact,
} from './transaction.ts';

const PAGE = 500;
/** So many are read whole at a time: a store in this process has the event loop meanwhile. */
const LOADED = 100;

/** What came of an attempt to add a memory. */
export interface Placed {
  readonly memory: Memory;
  /** It says what that memory said already, and was merged into it. */
  readonly merged: boolean;
}

/** The durable memories of all owners in a tenant, and what is done to them. Callers' input was checked before. */
export class Shelf {
  readonly context: ServiceContext;
  readonly settings: MemorySettings;
  readonly #onCount: (owner: Owner, counts: MemoryCounts) => void;
  readonly #queue = new KeyedQueue();

  /** @param onCount hears how many memories an owner has, after each change of that */
  constructor(
    context: ServiceContext,
    settings: MemorySettings,
    onCount: (owner: Owner, counts: MemoryCounts) => void,
  ) {
    this.context = context;
    this.settings = settings;
    this.#onCount = onCount;
  }

  /** One commit, tried anew as often as somebody else is faster. */
  async transact<T>(
    owner: Owner,
    work: (transaction: MemoryTransaction) => Promise<T>,
  ): Promise<Committed & { result: T }> {
    const begin = () => new MemoryTransaction(this.context.store, owner, this.settings);
    const done = await transact(begin, work);
    if (done.counts) this.#onCount(owner, done.counts);
    return done;
  }

  /** Adds a memory, or merges it into the one that says the same; what it contradicts is superseded. */
  async add(owner: Owner, id: string, content: Content, life: Life): Promise<Placed> {
    const { result, versions } = await this.#alone(owner, claimsOf(content), () =>
      this.transact(owner, (transaction) => this.#place(transaction, id, content, life)),
    );
    const { held, merged } = result;
    const version = versions.get(held.id) ?? held.version;
    return { memory: this.toMemory(owner, { ...held, version }), merged };
  }

  /**
   * Writers of texts that have something in common wait for each other here, and not by losing races. Each takes its names
   * in one order, so that no two wait for each other forever.
   */
  #alone<T>(owner: Owner, claims: readonly ClaimName[], work: () => Promise<T>): Promise<T> {
    const names = claims.map(([kind, id]) => `${owner.key}\0${kind}\0${id}`).sort();
    const inside = names.reduceRight((next, name) => () => this.#queue.run(name, next), work);
    return inside();
  }

  async #place(
    transaction: MemoryTransaction,
    id: string,
    content: Content,
    life: Life,
  ): Promise<{ held: Omit<Held, 'bytes' | 'lifeVersion'>; merged: boolean }> {
    const now = this.context.clock.now();
    const twin = await transaction.twinOf(content.content);
    const into = twin?.id ?? id;
    const whole = twin ? united(twin.content, content, now) : content;
    const lives = twin ? this.#livesOn(twin, whole, life) : life;
    const rivals = await transaction.rivalsOf(into, whole, lives);
    for (const rival of rivals) transaction.supersede(rival, into, now);
    const supersedes = newest([...(whole.supersedes ?? []), ...rivals.map((rival) => rival.id)]);
    const placed = supersedes.length > 0 ? { ...whole, supersedes } : whole;
    if (!twin) {
      transaction.add(id, placed, lives);
      return { held: { id, content: placed, life: lives, version: 0 }, merged: false };
    }
    transaction.change(twin, { content: placed, life: lives });
    transaction.count('duplicates');
    return { held: { ...twin, content: placed, life: lives }, merged: true };
  }

  /** The life of a memory that was told once more. */
  #livesOn(twin: Held, { sources, importance }: Content, life: Life): Life {
    // Told from elsewhere as well it is remembered better. Told again by the same source it is not.
    const anew = sources.length > twin.content.sources.length;
    const again = anew ? used(twin.life, 1, this.context.clock.now(), this.settings) : twin.life;
    const { expiresAt: _, ...lasting } = again;
    const tier = life.tier === 'long' ? 'long' : again.tier;
    return { ...lasting, importance, tier, ...endOfBoth(twin.life, life) };
  }

  async find(owner: Owner, id: string): Promise<Held | undefined> {
    const [held] = await loadMemories(this.context.store, owner, [id]);
    return held;
  }

  load(owner: Owner, ids: readonly string[]): Promise<(Held | undefined)[]> {
    return loadMemories(this.context.store, owner, ids);
  }

  async findSuperseded(owner: Owner, id: string): Promise<(Superseded & { version: number }) | undefined> {
    const found = await this.context.records.get<Superseded>(owner.partition, kinds.memorySuperseded, id);
    return found && { ...found.value, version: found.version };
  }

  /** @returns false when there was none */
  async removeSuperseded(owner: Owner, id: string): Promise<boolean> {
    const { store } = this.context;
    const operations: Operation[] = [
      { op: 'delete', kind: kinds.memorySuperseded, id, ifVersion: 'present' },
      { op: 'add', kind: kinds.memoryCounters, id: kinds.memoryCounters, deltas: { superseded: -1 } },
    ];
    try {
      await store.commit({ partition: owner.partition, operations });
      return true;
    } catch (error) {
      if (!isConflict(error)) throw error;
      return false;
    }
  }

  /** Whether a memory has ended, or has faded so far that it goes down a tier. */
  isOver(life: Life, now: number): boolean {
    return (fadesAt(life, this.settings) ?? Number.POSITIVE_INFINITY) <= now;
  }

  /** Whose a memory is. */
  async ownerOf(id: string): Promise<Owner | undefined> {
    const { store, tenant } = this.context;
    const { items } = await store.queryIndex({ tenant, index: indexes.memoriesById, key: id, limit: 1 });
    return items[0] && ownerOfPartition(items[0].partition);
  }

  /** All owners of the tenant: every user, and the tenant itself. */
  async *owners(): AsyncGenerator<Owner> {
    const { store, tenant } = this.context;
    for (let after: string | undefined; ; ) {
      const range = { tenant, index: PARTITION_INDEX, key: 'user', limit: PAGE };
      const page = await store.queryIndex({ ...range, ...(after !== undefined && { after }) });
      for (const { partition } of page.items) yield ownerOfPartition(partition);
      if (page.next === undefined) return;
      after = page.next;
    }
  }

  /** All memories of an owner that hold, in no order. */
  async *all(owner: Owner): AsyncGenerator<Held> {
    for await (const { items } of this.#pages(owner, kinds.memoryLife)) {
      const ids = items.map(({ id }) => id);
      for (let start = 0; start < ids.length; start += LOADED)
        for (const held of await this.load(owner, ids.slice(start, start + LOADED))) if (held) yield held;
    }
  }

  async *lives(owner: Owner): AsyncGenerator<{ id: string; life: Life }> {
    for await (const { items } of this.#pages(owner, kinds.memoryLife))
      for (const { id, value } of items) yield { id, life: decodeJson<Life>(value) };
  }

  async *superseded(
    owner: Owner,
  ): AsyncGenerator<Superseded & { id: string; version: number; bytes: number }> {
    for await (const { items } of this.#pages(owner, kinds.memorySuperseded))
      for (const { id, value, version } of items)
        yield { id, version, bytes: Buffer.byteLength(value), ...decodeJson<Superseded>(value) };
  }

  async counts(owner: Owner): Promise<MemoryCounts> {
    return (await this.context.records.get<MemoryCounts>(owner.partition, kinds.memoryCounters))?.value ?? {};
  }

  toMemory(owner: Owner, held: Omit<Held, 'bytes' | 'lifeVersion'>): Memory {
    return toMemory(owner, held, this.context.clock.now(), this.settings);
  }

  supersededMemory(
    owner: Owner,
    id: string,
    { content, life, by, at, version }: Superseded & { version: number },
  ): Memory {
    const memory = this.toMemory(owner, { id, content, life, version });
    return { ...memory, supersededBy: by, supersededAt: at };
  }

  async *#pages(owner: Owner, kind: string): AsyncGenerator<Page<Stored>> {
    for (let after: string | undefined; ; ) {
      const range = { limit: PAGE, ...(after !== undefined && { after }) };
      const page = await this.context.store.listRecords(owner.partition, kind, range);
      yield page;
      if (page.next === undefined) return;
      after = page.next;
    }
  }
}
