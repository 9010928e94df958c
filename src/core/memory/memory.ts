import { ConflictError, InvalidInputError, NotFoundError, quote } from '../errors.ts';
import { newId } from '../ids.ts';
import { idSchema, parseInput } from '../input.ts';
import { copyOf } from '../metadata.ts';
import type { Memory } from '../model/memory.ts';
import { indexes } from '../partitions.ts';
import type { Searcher } from '../search/search.ts';
import type { ServiceContext } from '../services.ts';
import { changedContent, changedLife, changedShort } from './changes.ts';
import { type Cleanup, cleanup } from './cleanup.ts';
import { type Consolidation, consolidate, DEFAULT_COMPARISONS, DEFAULT_SIMILARITY } from './consolidate.ts';
import { type Extraction, type ExtractMemories, Extractor } from './extract.ts';
import {
  best,
  findAmong,
  findByTags,
  findStored,
  type MemorySearch,
  newestFirst,
  passes,
  supersededOf,
} from './find.ts';
import * as input from './input.ts';
import { type MemoryOptions, memorySettings } from './options.ts';
import { type Owner, ownerOf } from './owner.ts';
import { type Content, contentOf, type Held, isExpired, newest } from './records.ts';
import { auditOf, type MemoryAudit, type MemoryStats, statsOf } from './report.ts';
import { firstTier, type Life } from './retention.ts';
import { Shelf } from './shelf.ts';
import { isAfter, isShortPlace, ShortTerm, shortPlace } from './short-term.ts';
import { sweepFaded, trim } from './sweep.ts';
import type { MemoryCounts, MemoryTransaction } from './transaction.ts';
import { Uses } from './uses.ts';

/** A memory as it was added. */
export interface AddedMemory extends Memory {
  /** It said what this memory says already, and was merged into it: no other one was made. */
  merged: boolean;
}

export interface MemoryDependencies {
  searcher: Searcher;
  /** The user of a session. @throws NotFoundError */
  userOf: (sessionId: string) => Promise<string>;
  /** Hears of failures in the background. */
  onError: (error: unknown) => void;
  options?: MemoryOptions | undefined;
}

/** What is worth knowing in later conversations: added, found, merged, superseded, and forgotten in time. */
export class MemoryService {
  readonly #context: ServiceContext;
  readonly #dependencies: MemoryDependencies;
  readonly #shelf: Shelf;
  readonly #short: ShortTerm;
  readonly #uses: Uses;
  readonly #background = new Map<string, Promise<unknown>>();
  /** Short-term memories that are becoming durable ones: who wants to change one waits until it is. */
  readonly #keeping = new Map<string, Promise<unknown>>();

  constructor(context: ServiceContext, dependencies: MemoryDependencies) {
    this.#context = context;
    this.#dependencies = dependencies;
    const settings = memorySettings(dependencies.options);
    this.#shelf = new Shelf(context, settings, (owner, counts) => this.#counted(owner, counts));
    this.#short = new ShortTerm(settings.sizes.short);
    this.#uses = new Uses(this.#shelf, dependencies.onError);
  }

  /**
   * Adds a memory. One that says what another one says already is merged into that; one with the key of another one, or
   * that tells another value of the same fact, supersedes it.
   * @throws NotFoundError for a session that is not there
   */
  async add(memory: input.AddMemory): Promise<AddedMemory> {
    const given = parseInput(input.addSchema, memory, 'memory.add');
    const owner = await this.#owner(given, 'memory.add');
    const { clock } = this.#context;
    const now = clock.now();
    const { importance = 0.5, ttlMs, createdAt = now, tier } = given;
    const content: Content = {
      content: given.content.trim(),
      kind: given.kind ?? 'fact',
      importance,
      tags: [...new Set(given.tags)],
      ...(given.key !== undefined && { key: given.key }),
      metadata: copyOf(given.metadata ?? {}),
      sources: given.sources ?? (given.sessionId === undefined ? [] : [{ sessionId: given.sessionId }]),
      createdAt,
      updatedAt: now,
    };
    const expires = ttlMs !== undefined && { expiresAt: now + ttlMs };
    if (tier === 'short') return this.#short.add(owner, content, expires || {}, now);
    const life: Life = {
      tier: tier ?? firstTier(importance, this.#shelf.settings),
      importance,
      uses: 0,
      usedAt: now,
      ...expires,
    };
    const placed = await this.#shelf.add(owner, newId(), content, life);
    return { ...placed.memory, merged: placed.merged };
  }

  /**
   * A memory by its id, superseded ones as well.
   * @param scope whose it must be; where absent anybody's of the tenant, which takes a look into an index more
   * @throws NotFoundError
   */
  async get(id: string, scope: input.MemoryScope = {}): Promise<Memory> {
    const { owner } = await this.#named(id, scope, 'memory.get');
    const now = this.#context.clock.now();
    const short = this.#short.get(id, owner, now);
    if (short) return short;
    const held = owner && (await this.#shelf.find(owner, id));
    if (held && !isExpired(held.life, now)) return this.#shelf.toMemory(owner, held);
    const superseded = owner && !held && (await this.#shelf.findSuperseded(owner, id));
    if (superseded) return this.#shelf.supersededMemory(owner, id, superseded);
    throw noMemory(id);
  }

  /**
   * Changes fields of a memory. One that then has the key of another one, or tells another value of its fact, supersedes it.
   * @throws NotFoundError; ConflictError where it is at another version than `ifVersion`, or was superseded
   */
  async update(
    id: string,
    changes: input.UpdateMemory,
    options: input.MemoryScope & { ifVersion?: number | undefined } = {},
  ): Promise<Memory> {
    const given = parseInput(input.updateSchema, changes, 'memory.update');
    const { ifVersion, ...scope } = parseInput(input.updateOptionsSchema, options, 'memory.update');
    const { owner } = await this.#named(id, scope, 'memory.update');
    const short = this.#short.get(id, owner, this.#context.clock.now());
    if (short && this.#keeping.has(id)) return this.update(id, changes, options);
    if (short) return this.#updateShort(short, given, ifVersion);
    if (!owner) throw noMemory(id);
    const { result, versions } = await this.#shelf.transact(owner, async (transaction) => {
      const [held] = await transaction.load([id]);
      if (!held || isExpired(held.life, this.#context.clock.now())) throw await this.#notThere(owner, id);
      if (ifVersion !== undefined && ifVersion !== held.version) throw atVersion(id, held.version, ifVersion);
      return this.#change(transaction, held, given);
    });
    return this.#shelf.toMemory(owner, { ...result, version: versions.get(id) ?? result.version });
  }

  /** Deletes a memory, superseded or not. @returns false when there was none */
  async delete(id: string, scope: input.MemoryScope = {}): Promise<boolean> {
    const { owner } = await this.#named(id, scope, 'memory.delete');
    const short = this.#short.get(id, owner, this.#context.clock.now());
    if (short && this.#keeping.has(id)) return this.delete(id, scope);
    if (short) return this.#short.delete(id, this.#ownerOf(short));
    if (!owner) return false;
    const { result } = await this.#shelf.transact(owner, async (transaction) => {
      const [held] = await transaction.load([id]);
      if (held) transaction.remove(held);
      return held !== undefined;
    });
    return result || this.#shelf.removeSuperseded(owner, id);
  }

  /** Durable memories, newest first; where `tiers` names `short`, those of this process before them. */
  async list(options: input.ListMemories = {}): Promise<{ memories: Memory[]; next?: string }> {
    const given = parseInput(input.listSchema, options, 'memory.list');
    const { superseded, after, limit = 50 } = given;
    const owner = await this.#owner(given, 'memory.list');
    const short = given.tiers?.includes('short') && !superseded ? this.#listShort(owner, given) : [];
    const shortOnly = given.tiers?.every((tier) => tier === 'short') ?? false;
    const memories = short.slice(0, limit);
    // Durable ones may come after a page that is full of short-term ones.
    if (short.length > limit || (short.length === limit && !shortOnly))
      return { memories, next: shortPlace(memories.at(-1)!) };
    if (shortOnly) return { memories };
    let next: string | undefined = isShortPlace(after) ? undefined : after;
    do {
      const page = await this.#context.store.queryIndex({
        tenant: this.#context.tenant,
        index: superseded ? indexes.memoriesSuperseded : indexes.memories,
        key: owner.key,
        ...(next !== undefined && { after: next }),
        limit: limit - memories.length,
        reverse: true,
      });
      const ids = page.items.map(({ id }) => id);
      const found = superseded ? await this.#superseded(owner, ids) : await this.#live(owner, ids);
      memories.push(...found.filter((memory) => passes(memory, given)));
      next = page.next;
    } while (next !== undefined && memories.length < limit);
    return { memories, ...(next !== undefined && { next }) };
  }

  /** The memories that are about something, the best first; each says what its score is the sum of. */
  async search(query: string, options: input.SearchMemories = {}): Promise<MemorySearch> {
    const text = parseInput(input.querySchema, query, 'memory.search: query');
    const given = parseInput(input.searchSchema, options, 'memory.search');
    const { limit = 10, deadlineMs, superseded = false, use = true } = given;
    const owner = await this.#owner(given, 'memory.search');
    const now = this.#context.clock.now();
    const short = this.#short.list(owner, now).filter((memory) => passes(memory, given));
    const stored = given.tiers?.every((tier) => tier === 'short')
      ? { hits: [], index: { complete: true, behind: 0 }, embedding: 'off' as const }
      : await findStored(this.#shelf, this.#dependencies.searcher, owner, {
          query: text,
          limit,
          deadlineMs,
          filter: given,
        });
    const hits = best([...stored.hits, ...findAmong(short, text, { limit, now })], limit);
    if (use)
      this.#used(
        owner,
        hits.map((hit) => hit.memory),
      );
    if (superseded && hits.length < limit) {
      const old = (await supersededOf(this.#shelf, owner)).filter((memory) => passes(memory, given));
      hits.push(...findAmong(old, text, { limit: limit - hits.length, now }));
    }
    const { index, embedding } = stored;
    return { hits, index, embedding };
  }

  /** The memories that have all of some tags, or any of them, newest first; exact, and at once. */
  async searchByTags(tags: readonly string[], options: input.SearchByTags = {}): Promise<Memory[]> {
    const wanted = parseInput(input.wantedTagsSchema, tags, 'memory.searchByTags: tags');
    const given = parseInput(input.searchByTagsSchema, options, 'memory.searchByTags');
    const { limit = 50, use = true } = given;
    const owner = await this.#owner(given, 'memory.searchByTags');
    const short = this.#short
      .list(owner, this.#context.clock.now())
      .filter((memory) => passes(memory, { ...given, tags: wanted }));
    const stored = await findByTags(this.#shelf, owner, { tags: [...new Set(wanted)], limit, filter: given });
    const known = new Set(stored.map(({ id }) => id));
    const found = [...stored, ...short.filter(({ id }) => !known.has(id))].sort(newestFirst).slice(0, limit);
    if (use) this.#used(owner, found);
    return found;
  }

  /**
   * Merges memories that say the same, and supersedes those that a newer one contradicts. Of all owners in the tenant
   * unless a user or a session is named.
   */
  async consolidate(options: input.ConsolidateMemories = {}): Promise<Consolidation> {
    const given = parseInput(input.consolidateSchema, options, 'memory.consolidate');
    const how = {
      similarity: given.similarity ?? DEFAULT_SIMILARITY,
      contradicts: given.contradicts ?? this.#shelf.settings.contradicts,
      maxComparisons: given.maxComparisons ?? DEFAULT_COMPARISONS,
      dryRun: given.dryRun ?? false,
      onError: this.#dependencies.onError,
    };
    const sum: Consolidation = { examined: 0, merged: 0, into: 0, superseded: 0, promoted: 0, compared: 0 };
    for await (const owner of this.#owners(given, 'memory.consolidate')) {
      const done = await consolidate(this.#shelf, owner, how);
      for (const field of Object.keys(sum) as (keyof Consolidation)[]) sum[field] += done[field];
    }
    return sum;
  }

  /**
   * Removes memories that have ended or faded and, with `maxAgeDays`, those that were not used for so long. Of all owners
   * in the tenant unless a user or a session is named.
   */
  async cleanup(options: input.CleanupMemories = {}): Promise<Cleanup> {
    const given = parseInput(input.cleanupSchema, options, 'memory.cleanup');
    const { maxAgeDays, dryRun = false } = given;
    await this.#uses.settled();
    return cleanup(this.#shelf, await this.#only(given, 'memory.cleanup'), { maxAgeDays, dryRun });
  }

  /** Counts memories: of all owners in the tenant unless a user or a session is named. */
  async stats(scope: input.MemoryScope = {}): Promise<MemoryStats> {
    const given = parseInput(input.scopeSchema, scope, 'memory.stats');
    const owner = await this.#only(given, 'memory.stats');
    const stats = await statsOf(this.#shelf, this.#owners(given, 'memory.stats'));
    const short = this.#short.count(owner, this.#context.clock.now());
    return { ...stats, count: stats.count + short, byTier: { ...stats.byTier, short } };
  }

  /** What looks wrong: of all owners in the tenant unless a user or a session is named. Changes nothing. */
  async audit(options: input.AuditMemories = {}): Promise<MemoryAudit> {
    const given = parseInput(input.auditSchema, options, 'memory.audit');
    const { similarity = DEFAULT_SIMILARITY, limit = 100 } = given;
    return auditOf(this.#shelf, this.#owners(given, 'memory.audit'), { similarity, limit });
  }

  /**
   * Has a model read what a session's messages say since the last time, and adds what is worth knowing, for the session's
   * user. What was recalled, summarised or given by a tool is not read.
   * @throws NotFoundError
   */
  async extract(sessionId: string, options: ExtractMemories): Promise<Extraction> {
    const id = parseInput(idSchema, sessionId, 'memory.extract: sessionId');
    const { userId } = await this.#owner({ sessionId: id }, 'memory.extract');
    return new Extractor(this.#context, (memory) => this.add(memory)).extract(id, userId!, options);
  }

  /** Forgets what has ended or faded, of all owners in the tenant. The engine does this by itself now and then. */
  async sweep(): Promise<void> {
    await sweepFaded(this.#shelf, undefined, false);
  }

  /** Resolves when uses are counted, and tiers that were too full have made room. */
  async settled(): Promise<void> {
    await this.#uses.settled();
    while (this.#background.size > 0) await Promise.all(this.#background.values());
  }

  close(): Promise<void> {
    return this.settled();
  }

  async #owner({ userId, sessionId }: input.MemoryScope, what: string): Promise<Owner> {
    const { tenant } = this.#context;
    if (sessionId === undefined) return ownerOf(tenant, userId);
    const owner = await this.#dependencies.userOf(sessionId);
    if (userId !== undefined && userId !== owner)
      throw new InvalidInputError(what, [{ path: 'userId', message: 'is not the user of the session' }]);
    return ownerOf(tenant, owner);
  }

  /** Whose, where somebody is named. */
  async #only(scope: input.MemoryScope, what: string): Promise<Owner | undefined> {
    const named = scope.userId !== undefined || scope.sessionId !== undefined;
    return named ? this.#owner(scope, what) : undefined;
  }

  async *#owners(scope: input.MemoryScope, what: string): AsyncGenerator<Owner> {
    const only = await this.#only(scope, what);
    if (only) yield only;
    else yield* this.#shelf.owners();
  }

  /** Whose a memory must be, or is; none where it is a short-term memory, or not there. */
  async #named(id: string, scope: input.MemoryScope, what: string): Promise<{ owner: Owner | undefined }> {
    parseInput(idSchema, id, `${what}: id`);
    const only = await this.#only(parseInput(input.scopeSchema, scope, what), what);
    while (this.#keeping.has(id)) await this.#keeping.get(id);
    if (only || this.#short.get(id, undefined, this.#context.clock.now())) return { owner: only };
    return { owner: await this.#shelf.ownerOf(id) };
  }

  #ownerOf({ userId }: Memory): Owner {
    return ownerOf(this.#context.tenant, userId);
  }

  #listShort(owner: Owner, { after, ...filter }: input.ListMemories): Memory[] {
    if (after !== undefined && !isShortPlace(after)) return [];
    const all = this.#short.list(owner, this.#context.clock.now());
    return all
      .filter((memory) => passes(memory, filter) && (after === undefined || isAfter(memory, after)))
      .sort(newestFirst);
  }

  async #live(owner: Owner, ids: readonly string[]): Promise<Memory[]> {
    const now = this.#context.clock.now();
    const held = await this.#shelf.load(owner, ids);
    return held.flatMap((one) => (one && !isExpired(one.life, now) ? this.#shelf.toMemory(owner, one) : []));
  }

  async #superseded(owner: Owner, ids: readonly string[]): Promise<Memory[]> {
    const found = await Promise.all(ids.map((id) => this.#shelf.findSuperseded(owner, id)));
    return found.flatMap((one, i) => (one ? this.#shelf.supersededMemory(owner, ids[i]!, one) : []));
  }

  async #change(transaction: MemoryTransaction, held: Held, changes: input.UpdateMemory): Promise<Held> {
    const now = this.#context.clock.now();
    const content = changedContent(held.content, changes, now);
    const life = changedLife(held.life, content.importance, changes, now);
    const rivals = await transaction.rivalsOf(held.id, content, life);
    for (const rival of rivals) transaction.supersede(rival, held.id, now);
    if (rivals.length > 0)
      content.supersedes = newest([...(content.supersedes ?? []), ...rivals.map((rival) => rival.id)]);
    transaction.change(held, { content, life });
    return { ...held, content, life };
  }

  async #notThere(owner: Owner, id: string): Promise<Error> {
    const superseded = await this.#shelf.findSuperseded(owner, id);
    if (!superseded) return noMemory(id);
    return new ConflictError(`memory ${quote(id)} was superseded`, superseded.version, {
      hint: 'Change the memory that superseded it: see supersededBy.',
      details: { id, supersededBy: superseded.by },
    });
  }

  async #updateShort(
    memory: Memory,
    changes: input.UpdateMemory,
    ifVersion: number | undefined,
  ): Promise<Memory> {
    const { id, version } = memory;
    if (ifVersion !== undefined && ifVersion !== version) throw atVersion(id, version, ifVersion);
    const owner = this.#ownerOf(memory);
    const whole = changedShort(memory, changes, this.#context.clock.now());
    this.#short.put(owner, whole);
    return changes.tier === undefined ? structuredClone(whole) : this.#keep(owner, whole, changes.tier);
  }

  /** Makes a short-term memory a durable one. */
  #keep(owner: Owner, memory: Memory, tier: Life['tier']): Promise<Memory> {
    const { id } = memory;
    const keeping = this.#toShelf(owner, memory, tier).finally(() => this.#keeping.delete(id));
    this.#keeping.set(
      id,
      keeping.catch(() => undefined),
    );
    return keeping;
  }

  async #toShelf(owner: Owner, memory: Memory, tier: Life['tier']): Promise<Memory> {
    const { id, importance, uses, usedAt, expiresAt } = memory;
    const life: Life = { tier, importance, uses, usedAt, ...(expiresAt !== undefined && { expiresAt }) };
    const { memory: kept } = await this.#shelf.add(owner, id, contentOf(memory), life);
    const now = this.#short.get(id, owner, this.#context.clock.now());
    // Told once more meanwhile, perhaps from elsewhere.
    if (now && now.version !== memory.version) return this.#toShelf(owner, now, tier);
    this.#short.delete(id, owner);
    return kept;
  }

  /** Counts uses. What short-term memory holds and is used often becomes durable. */
  #used(owner: Owner, memories: readonly Memory[]): void {
    const now = this.#context.clock.now();
    const stored = memories.filter(({ tier }) => tier !== 'short');
    this.#uses.note(
      owner,
      stored.map(({ id }) => id),
    );
    for (const { id, tier } of memories) {
      const used = tier === 'short' && !this.#keeping.has(id) && this.#short.use(id, owner, now);
      if (used && used.uses >= this.#shelf.settings.promoteUses)
        this.#inBackground(`${owner.key}\0${id}`, () => this.#promote(owner, id));
    }
  }

  /** When its turn comes it may have become a durable one already, or be gone. */
  async #promote(owner: Owner, id: string): Promise<void> {
    const memory = this.#short.get(id, owner, this.#context.clock.now());
    if (memory && !this.#keeping.has(id)) await this.#keep(owner, memory, 'medium');
  }

  /** A tier may be over its size by a tenth before it makes room: not each memory makes the next one go. */
  #counted(owner: Owner, counts: MemoryCounts): void {
    const { sizes } = this.#shelf.settings;
    const over = (['medium', 'long'] as const).some(
      (tier) => (counts[tier] ?? 0) > Math.floor(sizes[tier] * 1.1),
    );
    if (over) this.#inBackground(owner.key, () => trim(this.#shelf, owner));
  }

  /** At most one work of a name at a time. */
  #inBackground(name: string, work: () => Promise<unknown>): void {
    if (this.#background.has(name)) return;
    const working = this.#context.background
      .run('memory', work)
      .catch((error: unknown) => this.#dependencies.onError(error))
      .finally(() => this.#background.delete(name));
    this.#background.set(name, working);
  }
}

function noMemory(id: string): NotFoundError {
  return new NotFoundError('memory', id, { hint: 'It may have been forgotten, or belong to another user.' });
}

function atVersion(id: string, version: number, expected: number): ConflictError {
  return new ConflictError(`memory ${quote(id)} is at version ${version}, expected ${expected}`, version);
}
