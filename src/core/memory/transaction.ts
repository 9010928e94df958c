import { setTimeout as delay } from 'node:timers/promises';
import { isConflict } from '../errors.ts';
import { decodeJson, encodeJson } from '../json.ts';
import { kinds, MEMORIES } from '../partitions.ts';
import type { Operation, Receipt, Store } from '../store.ts';
import { factOf, replaces } from './facts.ts';
import { isTwin, type Sketch, sketchOf, twinName } from './likeness.ts';
import type { MemorySettings } from './options.ts';
import type { Owner } from './owner.ts';
import { type Content, type Held, putContent, putLife, putSuperseded, type Superseded } from './records.ts';
import type { Life } from './retention.ts';

const MAX_ATTEMPTS = 64;
/** So many memories are remembered to have the same words, or a fact: the newest. */
const MAX_HOLDERS = 64;

/** What the counters of an owner count; `duplicates` were merged when they came, `consolidated` later. */
export type MemoryCounter = 'medium' | 'long' | 'superseded' | 'bytes' | 'duplicates' | 'consolidated';
export type MemoryCounts = Partial<Record<MemoryCounter, number>>;

/** A record that lists the memories which have something: the words of a text, a key, a fact. */
interface Claim {
  readonly kind: string;
  readonly id: string;
  readonly version: number | undefined;
  holders: readonly string[];
  changed: boolean;
}

export type ClaimName = readonly [kind: string, id: string];

export interface Committed {
  /** The versions of the contents that were written, by id. */
  readonly versions: ReadonlyMap<string, number>;
  /** The owner's counters, where they changed. */
  readonly counts: MemoryCounts | undefined;
}

/** What becomes of one memory. */
interface Draft {
  readonly before: Held | undefined;
  content?: Content;
  life?: Life;
  superseded?: Superseded;
}

/**
 * One commit to an owner's memories. Everything that it goes by is a condition of it: who loses a race begins anew. So
 * two writers of the same text make one memory, and two of one key don't both stay.
 */
export class MemoryTransaction {
  readonly #store: Store;
  readonly #owner: Owner;
  readonly #settings: MemorySettings;
  readonly #claims = new Map<string, Claim>();
  readonly #drafts = new Map<string, Draft>();
  readonly #also: Operation[] = [];
  readonly #counts: Record<string, number> = {};

  constructor(store: Store, owner: Owner, settings: MemorySettings) {
    this.#store = store;
    this.#owner = owner;
    this.#settings = settings;
  }

  load(ids: readonly string[]): Promise<(Held | undefined)[]> {
    return loadMemories(this.#store, this.#owner, ids);
  }

  /** The memory that says the same as a text already. */
  async twinOf(content: string): Promise<Held | undefined> {
    const sketch = sketchOf(content);
    const claims = await this.#claim([twinClaim(sketch)]);
    const ids = [...new Set(claims.flatMap(({ holders }) => holders))];
    const found = await this.load(ids);
    return found.find((held) => held && isTwin(sketchOf(held.content.content), sketch));
  }

  /** The memories whose place one takes, since they have its key or tell its fact. */
  async rivalsOf(id: string, content: Content, life: Life): Promise<Held[]> {
    const claims = await this.#claim(keyNames(content));
    const ids = new Set(claims.flatMap(({ holders }) => holders));
    ids.delete(id);
    const found = await this.load([...ids]);
    return found.filter((held) => held !== undefined && replaces({ content, life }, held)) as Held[];
  }

  add(id: string, content: Content, life: Life): void {
    this.#drafts.set(id, { before: undefined, content, life });
  }

  /** Writes what is given anew, and leaves the rest. */
  change(held: Held, { content = held.content, life = held.life }: { content?: Content; life?: Life }): void {
    this.#drafts.set(held.id, { before: held, content, life });
  }

  supersede(held: Held, by: string, at: number): void {
    const { content, life } = held;
    this.#drafts.set(held.id, { before: held, superseded: { content, life, by, at } });
  }

  remove(held: Held): void {
    this.#drafts.set(held.id, { before: held });
  }

  count(counter: MemoryCounter, delta = 1): void {
    this.#counts[counter] = (this.#counts[counter] ?? 0) + delta;
  }

  /** Something else to write in the same commit. */
  also(operation: Operation): void {
    this.#also.push(operation);
  }

  async commit(): Promise<Committed> {
    await this.#moveClaims();
    const operations = [...this.#also];
    for (const [id, draft] of this.#drafts) operations.push(...this.#write(id, draft));
    for (const claim of this.#claims.values()) if (claim.changed) operations.push(putClaim(claim));
    const deltas = Object.fromEntries(Object.entries(this.#counts).filter(([, delta]) => delta !== 0));
    if (Object.keys(deltas).length > 0)
      operations.push({ op: 'add', kind: kinds.memoryCounters, id: kinds.memoryCounters, deltas });
    if (operations.length === 0) return { versions: new Map(), counts: undefined };
    const receipt = await this.#store.commit({ partition: this.#owner.partition, operations });
    return { versions: versionsOf(operations, receipt), counts: receipt.results.at(-1)?.counters };
  }

  #write(id: string, { before, content, life, superseded }: Draft): Operation[] {
    this.#countLife(before?.life, -1);
    this.#countLife(life, 1);
    if (before) this.count('bytes', -before.bytes);
    if (!content || !life) {
      if (superseded) this.count('superseded');
      return [
        { op: 'delete', kind: kinds.memory, id, ifVersion: before!.version },
        { op: 'delete', kind: kinds.memoryLife, id },
        // At once, not when somebody next searches: what is deleted is deleted.
        ...(this.#store.features.textSearch ? [{ op: 'unindex', collection: MEMORIES, id } as const] : []),
        ...(superseded ? [putSuperseded(this.#owner, id, superseded, this.#settings)] : []),
      ];
    }
    const put = putContent(this.#owner, id, content, before?.version ?? 'absent');
    this.count('bytes', Buffer.byteLength(put.value));
    const same = content === before?.content;
    return [
      ...(same ? [] : [put]),
      ...(life === before?.life ? [] : [putLife(id, life, before?.lifeVersion ?? 'absent', this.#settings)]),
    ];
  }

  #countLife(life: Life | undefined, delta: number): void {
    if (life) this.count(life.tier, delta);
  }

  /** Takes the names of what goes from its claims, and adds those of what comes. */
  async #moveClaims(): Promise<void> {
    const moves = [...this.#drafts].filter(([, { before, content }]) => content !== before?.content);
    const names = moves.map(([id, { before, content }]) => ({
      id,
      gone: before ? claimsOf(before.content) : [],
      come: content ? claimsOf(content) : [],
    }));
    await this.#claim(names.flatMap(({ gone, come }) => [...gone, ...come]));
    for (const { id, gone } of names)
      for (const name of gone) this.#hold(name, (holders) => holders.filter((other) => other !== id));
    for (const { id, come } of names)
      for (const name of come)
        this.#hold(name, (holders) => [...holders.filter((other) => other !== id), id].slice(-MAX_HOLDERS));
  }

  #hold([kind, id]: ClaimName, change: (holders: readonly string[]) => readonly string[]): void {
    const claim = this.#claims.get(`${kind}\0${id}`)!;
    const holders = change(claim.holders);
    claim.changed ||= holders.join('\0') !== claim.holders.join('\0');
    claim.holders = holders;
  }

  async #claim(names: readonly ClaimName[]): Promise<Claim[]> {
    const unread = new Map(
      names
        .map(([kind, id]) => [`${kind}\0${id}`, { partition: this.#owner.partition, kind, id }] as const)
        .filter(([name]) => !this.#claims.has(name)),
    );
    const keys = [...unread.values()];
    const stored = keys.length > 0 ? await this.#store.getRecords(keys) : [];
    for (const [i, { kind, id }] of keys.entries()) {
      const holders = stored[i] ? decodeJson<string[]>(stored[i].value) : [];
      const version = stored[i]?.version;
      this.#claims.set(`${kind}\0${id}`, { kind, id, version, holders, changed: false });
    }
    return names.map(([kind, id]) => this.#claims.get(`${kind}\0${id}`)!);
  }
}

/**
 * Does something to an owner's memories in one commit, anew as often as somebody else was faster.
 * @param work is given a new transaction each time, and must not commit it
 * @throws ConflictError when it never was the fastest
 */
export async function transact<T>(
  begin: () => MemoryTransaction,
  work: (transaction: MemoryTransaction) => Promise<T>,
): Promise<Committed & { result: T }> {
  for (let attempt = 1; ; attempt++) {
    const transaction = begin();
    const result = await work(transaction);
    try {
      return { result, ...(await transaction.commit()) };
    } catch (error) {
      if (!isConflict(error) || attempt === MAX_ATTEMPTS) throw error;
      await delay(Math.random() * Math.min(50, 2 ** attempt));
    }
  }
}

/** Memories by id; undefined for one that is not there, or was superseded. */
export async function loadMemories(
  store: Store,
  { partition }: Owner,
  ids: readonly string[],
): Promise<(Held | undefined)[]> {
  if (ids.length === 0) return [];
  const stored = await store.getRecords(
    ids.flatMap((id) => [
      { partition, kind: kinds.memory, id },
      { partition, kind: kinds.memoryLife, id },
    ]),
  );
  return ids.map((id, i) => {
    const [memory, life] = [stored[i * 2], stored[i * 2 + 1]];
    if (!memory || !life) return undefined;
    return {
      id,
      content: decodeJson<Content>(memory.value),
      version: memory.version,
      life: decodeJson<Life>(life.value),
      lifeVersion: life.version,
      bytes: Buffer.byteLength(memory.value),
    };
  });
}

/** What a memory with this content has its name on. */
export function claimsOf(content: Content): ClaimName[] {
  return [twinClaim(sketchOf(content.content)), ...keyNames(content)];
}

function twinClaim(sketch: Sketch): ClaimName {
  return [kinds.memoryTwin, twinName(sketch)];
}

function keyNames({ key, content }: Content): ClaimName[] {
  const fact = factOf(content);
  return [
    ...(key === undefined ? [] : [[kinds.memoryKey, key] as const]),
    ...(fact === undefined ? [] : [[kinds.memoryFact, fact] as const]),
  ];
}

function putClaim({ kind, id, version, holders }: Claim): Operation {
  if (holders.length === 0)
    return { op: 'delete', kind, id, ...(version !== undefined && { ifVersion: version }) };
  return { op: 'put', kind, id, value: encodeJson(holders, kind), ifVersion: version ?? 'absent' };
}

function versionsOf(operations: readonly Operation[], { results }: Receipt): Map<string, number> {
  const versions = new Map<string, number>();
  for (const [i, operation] of operations.entries()) {
    if (operation.op === 'put' && operation.kind === kinds.memory)
      versions.set(operation.id, results[i]!.version!);
  }
  return versions;
}
