import { setTimeout as delay } from 'node:timers/promises';
import type { BackgroundWork } from '../concurrency/background.ts';
import { isConflict, isCursorExpired } from '../errors.ts';
import { decodeJson, encodeJson } from '../json.ts';
import { kinds, SYSTEM_PARTITION } from '../partitions.ts';
import { type Cursor, PARTITION_INDEX, type Partition, type Store } from '../store.ts';
import { keyOf } from './dirt.ts';
import type { EmbedCalls } from './embed-calls.ts';
import type { IndexState } from './partition-index.ts';
import { lacksVectors, PartitionVectors } from './partition-vectors.ts';

const PAGE = 1000;
/** So many partitions are embedded at a time. */
const AT_A_TIME = 4;
/** When to look again at what somebody else is embedding, at the earliest. */
const BUSY_MS = 1000;
/** How often somebody who waits looks whether the embedder fails. */
const POLL_MS = 20;
/** The system record: there is one. */
const KEY = { partition: SYSTEM_PARTITION, kind: kinds.embedding, id: kinds.embedding };
/** What has vectors: the partitions of sessions, then those of users. */
const PARTITION_TYPES = ['session', 'user'] as const;

/** How far a walk through all partitions is. */
interface Walk {
  type: (typeof PARTITION_TYPES)[number];
  after?: string;
}

interface Progress {
  /** Up to where in the journal all that was indexed has its vectors. */
  cursor: Cursor;
  /** Absent when all partitions were gone through. */
  walk?: Walk;
}

/** Which vectors there are, in the system partition. */
interface Saved {
  /** The model whose vectors are searched. */
  active?: string;
  /** By model. */
  models: Record<string, Progress>;
  /** The models whose vectors are being taken away. */
  removing: Record<string, Walk>;
}

/** Whether a model's vectors can be searched: not yet, or not any longer because another took its place. */
export type Readiness = 'ready' | 'building' | 'replaced';

/**
 * Sees to it that all that is in the text index has its vectors: in the background, when something was indexed. Vectors of another model
 * than the one that is searched are made beside those, and take their place when all are there; those then go.
 */
export class Embeddings {
  readonly #store: Store;
  readonly #calls: EmbedCalls;
  readonly #onError: (error: unknown) => void;
  readonly #closing: AbortSignal;
  readonly #background: BackgroundWork;
  /** Partitions that may lack vectors. */
  readonly #pending = new Map<string, Partition>();
  /** Partitions that somebody else has indexed. */
  readonly #others = new Map<string, Partition>();
  /** Those that somebody else embeds, it seems. */
  readonly #elsewhere = new Map<string, NodeJS.Timeout>();
  #working: Promise<void> | undefined;
  /** Something came while it was working. */
  #again = false;
  /** Its model was searched once: where that is over, another one took its place, and this one does not fight it. */
  #wasActive = false;
  /** What others have indexed is to be looked up: to begin with, and whenever the house is kept. */
  #journalIsDue = true;

  constructor(
    store: Store,
    calls: EmbedCalls,
    on: { onError: (error: unknown) => void; closing: AbortSignal; background: BackgroundWork },
  ) {
    this.#store = store;
    this.#calls = calls;
    this.#onError = on.onError;
    this.#closing = on.closing;
    this.#background = on.background;
  }

  /** Whether the vectors of a model can be searched. */
  async readiness(model: string): Promise<Readiness> {
    const { saved } = await this.#load();
    if (saved?.active === model) {
      this.#wasActive = true;
      return 'ready';
    }
    return this.#wasActive ? 'replaced' : 'building';
  }

  /**
   * Begins to embed what was indexed of a partition, and whatever else lacks vectors.
   * @param isOurs where somebody else has indexed it, that one embeds it, too: we only look whether it did
   */
  indexed(partition: Partition, isOurs: boolean): void {
    (isOurs ? this.#pending : this.#others).set(keyOf(partition), partition);
    this.wake();
  }

  /** Goes on with what is to be done. */
  wake(): void {
    this.#again = true;
    if (this.#closing.aborted) return;
    this.#working ??= this.#workInTurn().finally(() => {
      this.#working = undefined;
      if (this.#again && !this.#closing.aborted) this.wake();
    });
  }

  /** Resolves when nothing lacks vectors any longer, as far as this engine knows; sooner where the embedder fails. */
  async settled(): Promise<void> {
    while ((this.#working || this.#elsewhere.size > 0) && !this.#calls.failing && !this.#closing.aborted)
      await Promise.race([this.#working ?? delay(POLL_MS), delay(POLL_MS)]);
  }

  /** Embeds what others have indexed, and what was left undone: for housekeeping, where anybody searches by vectors. */
  async catchUp(): Promise<void> {
    if (!(await this.#load()).saved) return;
    this.#journalIsDue = true;
    this.wake();
  }

  /** Ends when what is under way has ended, which closing has cut short. */
  async close(): Promise<void> {
    for (const timer of this.#elsewhere.values()) clearTimeout(timer);
    await this.#working;
  }

  async #workInTurn(): Promise<void> {
    try {
      await this.#background.run('embedding', () => this.#work(), this.#closing);
    } catch (error) {
      // What is left undone is found in the journal, or by the walk.
      this.#again = false;
      this.#journalIsDue = true;
      if (!this.#closing.aborted) this.#onError(error);
    }
  }

  async #work(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      await this.#round(await this.#calls.knownModel());
    }
  }

  async #round(model: string): Promise<void> {
    if ((await this.readiness(model)) === 'replaced') return this.#pending.clear();
    let saved = await this.#entered(model);
    await this.#embedPending(model);
    await this.#lookAtOthers(model);
    if (saved.models[model]!.walk) await this.#walkAll(model);
    if (this.#journalIsDue) {
      this.#journalIsDue = false;
      await this.#readJournal(model);
    }
    if (saved.active !== model) saved = await this.#activate(model);
    for (const other of Object.keys(saved.removing)) await this.#remove(other);
  }

  /** The record, with the model in it. */
  async #entered(model: string): Promise<Saved> {
    const { saved } = await this.#load();
    if (saved?.models[model]) return saved;
    const progress = await this.#fromNowOn();
    return this.#change((now) => {
      if (now.models[model]) return undefined;
      const { [model]: _, ...removing } = now.removing;
      return { ...now, models: { ...now.models, [model]: progress }, removing };
    });
  }

  /** What was indexed before now is found by a walk. */
  async #fromNowOn(): Promise<Progress> {
    const { cursor } = await this.#store.readChanges('newest', 0);
    return { cursor, walk: { type: PARTITION_TYPES[0] } };
  }

  async #embedPending(model: string): Promise<void> {
    const workers = Array.from({ length: AT_A_TIME }, async () => {
      for (;;) {
        const [next] = this.#pending;
        if (!next || this.#closing.aborted) return;
        this.#pending.delete(next[0]);
        await this.#embed(next[1], model);
      }
    });
    const ended = await Promise.allSettled(workers);
    const failed = ended.find((end) => end.status === 'rejected');
    if (failed) throw failed.reason;
  }

  async #embedThose(partitions: readonly Partition[], model: string): Promise<void> {
    for (const partition of shuffled(await this.#lacking(partitions, model)))
      this.#pending.set(keyOf(partition), partition);
    await this.#embedPending(model);
  }

  async #embed(partition: Partition, model: string): Promise<void> {
    try {
      if (await new PartitionVectors(this.#store, partition, model).embed(this.#calls)) return;
    } catch (error) {
      // It was changed under our hands, again and again: it is looked at later.
      if (!isConflict(error)) throw error;
    }
    this.#later(partition);
  }

  async #lookAtOthers(model: string): Promise<void> {
    const partitions = [...this.#others.values()].slice(0, PAGE);
    if (partitions.length === 0) return;
    for (const partition of partitions) this.#others.delete(keyOf(partition));
    for (const partition of await this.#lacking(partitions, model)) this.#later(partition);
    if (this.#others.size > 0) this.#again = true;
  }

  /** Looks at a partition later on: somebody else is at it. */
  #later(partition: Partition): void {
    const key = keyOf(partition);
    if (this.#elsewhere.has(key) || this.#closing.aborted) return;
    const look = () => {
      this.#elsewhere.delete(key);
      this.indexed(partition, true);
    };
    this.#elsewhere.set(key, setTimeout(look, BUSY_MS * (1 + Math.random())).unref());
  }

  /** Goes through all partitions once. */
  async #walkAll(model: string): Promise<void> {
    const walkOf = (saved: Saved | undefined) => saved?.models[model]?.walk;
    await this.#walk(
      walkOf,
      (partitions) => this.#embedThose(partitions, model),
      (saved, walk) => {
        const { cursor } = saved.models[model]!;
        return { ...saved, models: { ...saved.models, [model]: { cursor, ...(walk && { walk }) } } };
      },
    );
  }

  /** Embeds what was indexed since the model's place in the journal, by whomever. */
  async #readJournal(model: string): Promise<void> {
    for (;;) {
      const from = (await this.#load()).saved?.models[model]?.cursor;
      if (from === undefined || this.#closing.aborted) return;
      const page = await this.#store.readChanges(from, PAGE).catch(expired);
      if (!page) return this.#walkAgain(model);
      const indexed = page.changes.filter(({ operations }) =>
        operations.some((change) => change.op === 'put' && change.kind === kinds.textIndex),
      );
      const partitions = new Map(indexed.map(({ partition }) => [keyOf(partition), partition]));
      await this.#embedThose([...partitions.values()], model);
      // A place that is no further on in what concerns us need not be written.
      if (indexed.length > 0 || page.changes.length === PAGE) await this.#saveCursor(model, page.cursor);
      if (page.changes.length < PAGE) return;
    }
  }

  async #saveCursor(model: string, cursor: Cursor): Promise<void> {
    await this.#change((saved) => {
      const known = saved.models[model];
      return known && { ...saved, models: { ...saved.models, [model]: { ...known, cursor } } };
    });
  }

  /** The journal has forgotten what came after the model's place in it. */
  async #walkAgain(model: string): Promise<void> {
    const again = await this.#fromNowOn();
    await this.#change((saved) => ({ ...saved, models: { ...saved.models, [model]: again } }));
    await this.#walkAll(model);
  }

  /** The switch: from now on this model's vectors are searched, and those of others go. */
  async #activate(model: string): Promise<Saved> {
    const now = await this.#change((saved) => {
      const mine = saved.models[model];
      if (!mine || mine.walk || saved.active === model || this.#closing.aborted) return undefined;
      const others = Object.keys(saved.models).filter((other) => other !== model);
      const removing = { ...saved.removing };
      for (const other of others) removing[other] = { type: PARTITION_TYPES[0] };
      return { active: model, models: { [model]: mine }, removing };
    });
    this.#wasActive ||= now.active === model;
    return now;
  }

  async #remove(model: string): Promise<void> {
    await this.#walk(
      (saved) => saved?.removing[model],
      async (partitions) => {
        const having = await this.#those(partitions, (state) => state.embedded?.[model] !== undefined);
        for (const partition of having) await new PartitionVectors(this.#store, partition, model).remove();
      },
      (saved, walk) => {
        const { [model]: _, ...removing } = saved.removing;
        return { ...saved, removing: walk ? { ...removing, [model]: walk } : removing };
      },
    );
  }

  /** Goes through all partitions, page by page, from where it is saved that somebody has come. */
  async #walk(
    walkOf: (saved: Saved | undefined) => Walk | undefined,
    visit: (partitions: Partition[]) => Promise<void>,
    moved: (saved: Saved, walk: Walk | undefined) => Saved,
  ): Promise<void> {
    for (;;) {
      const walk = walkOf((await this.#load()).saved);
      if (!walk || this.#closing.aborted) return;
      const { type, after } = walk;
      const range = { index: PARTITION_INDEX, key: type, limit: PAGE, ...(after !== undefined && { after }) };
      const { items, next } = await this.#store.queryIndex(range);
      await visit(items.map(({ partition }) => partition));
      if (this.#closing.aborted) return;
      const nextType = next === undefined ? PARTITION_TYPES[PARTITION_TYPES.indexOf(type) + 1] : type;
      const on = nextType && { type: nextType, ...(next !== undefined && { after: next }) };
      await this.#change((saved) => {
        // Somebody else may be further on by now.
        return JSON.stringify(walkOf(saved)) === JSON.stringify(walk) ? moved(saved, on) : undefined;
      });
    }
  }

  #lacking(partitions: readonly Partition[], model: string): Promise<Partition[]> {
    return this.#those(partitions, (state, { type }) => lacksVectors(state, model, type));
  }

  /** Those of some partitions that are in the index, and so. */
  async #those(
    partitions: readonly Partition[],
    are: (state: IndexState, partition: Partition) => boolean,
  ): Promise<Partition[]> {
    const keys = partitions.map((partition) => ({ partition, kind: kinds.textIndex, id: kinds.textIndex }));
    const states = await this.#store.getRecords(keys);
    return partitions.filter(
      (partition, i) => states[i] && are(decodeJson<IndexState>(states[i].value), partition),
    );
  }

  async #load(): Promise<{ saved: Saved | undefined; version: number | 'absent' }> {
    const [stored] = await this.#store.getRecords([KEY]);
    return { saved: stored && decodeJson<Saved>(stored.value), version: stored?.version ?? 'absent' };
  }

  /** Changes the record, as somebody else may do at the same time. @returns what it is then */
  async #change(change: (saved: Saved) => Saved | undefined): Promise<Saved> {
    for (;;) {
      const { saved = { models: {}, removing: {} }, version } = await this.#load();
      const now = change(saved);
      if (!now) return saved;
      const value = encodeJson(now, 'embedding');
      const { kind, id } = KEY;
      try {
        const operations = [{ op: 'put', kind, id, value, ifVersion: version }] as const;
        await this.#store.commit({ partition: SYSTEM_PARTITION, operations });
        return now;
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
    }
  }
}

/** Two that go through the same partitions must not do so in step. */
function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}

function expired(error: unknown): undefined {
  if (!isCursorExpired(error)) throw error;
}
