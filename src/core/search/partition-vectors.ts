import { isConflict } from '../errors.ts';
import { decodeJson, encodeJson } from '../json.ts';
import { kinds, MEMORIES } from '../partitions.ts';
import type { Entry, Operation, Partition, Store, TextVector } from '../store.ts';
import { byStretch, entryToEmbed, memoryToEmbed, vectorKey } from './documents.ts';
import type { EmbedCalls } from './embed-calls.ts';
import { type Embedded, logEmbedded, logLacks, nothingEmbedded } from './embedded.ts';
import type { IndexState } from './partition-index.ts';
import { STRETCH } from './stretch.ts';
import { encodeVector } from './vectors.ts';

/** So many documents get their vectors at once, at most. */
const STRETCHES = 8;
const MEMORIES_AT_ONCE = 100;
/** Documents that lose their vectors at once. */
const REMOVED_AT_ONCE = 256;
/** What is embedded may be changed meanwhile: how often to begin anew before the next time may go on with it. */
const ATTEMPTS = 8;

/** What is in the index of a partition, as it was read. */
interface Found {
  state: IndexState;
  version: number;
  embedded: Embedded;
}

/** A step: documents with their vectors, and what then has them. */
interface Step {
  operations: Operation[];
  embedded: Embedded;
}

/** Gives what the index has of one partition its vectors of one model, or takes them away. */
export class PartitionVectors {
  readonly #store: Store;
  readonly #partition: Partition;
  readonly #model: string;

  constructor(store: Store, partition: Partition, model: string) {
    this.#store = store;
    this.#partition = partition;
    this.#model = model;
  }

  /**
   * Embeds what has no vector yet.
   * @returns false where somebody else is at it: what is left is for later
   */
  async embed(calls: EmbedCalls): Promise<boolean> {
    // What was embedded in vain, because something else changed meanwhile, is not embedded again.
    const known = new Map<string, string | undefined>();
    for (let attempt = 0, before: Found | undefined; ; ) {
      const found = await this.#find();
      if (!found) return true;
      if (before && before.version !== found.version && isElsewhere(before, found)) return false;
      const step = await this.#nextStep(found, calls, known);
      if (!step) return true;
      try {
        await this.#commit(found, step);
        before = undefined;
        attempt = 0;
      } catch (error) {
        if (!isConflict(error) || ++attempt === ATTEMPTS) throw error;
        before = found;
      }
    }
  }

  /** Takes all vectors of the model away. */
  async remove(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const found = await this.#find();
      if (!found?.state.embedded?.[this.#model]) return;
      try {
        await this.#remove(found);
        return;
      } catch (error) {
        if (!isConflict(error) || attempt === ATTEMPTS) throw error;
      }
    }
  }

  async #find(): Promise<Found | undefined> {
    const key = { partition: this.#partition, kind: kinds.textIndex, id: kinds.textIndex };
    const [stored] = await this.#store.getRecords([key]);
    if (!stored) return undefined;
    const state = decodeJson<IndexState>(stored.value);
    return { state, version: stored.version, embedded: state.embedded?.[this.#model] ?? nothingEmbedded };
  }

  #nextStep(found: Found, calls: EmbedCalls, known: Map<string, string | undefined>) {
    if (this.#partition.type === 'user') return this.#stepOfMemories(found, calls, known);
    for (const [log, { first, last }] of Object.entries(found.state.logs)) {
      const lacking = logLacks(found.embedded.logs[log], first, last);
      if (lacking.length > 0) return this.#stepOfLog(log, lacking.slice(0, STRETCHES), found, calls, known);
    }
    return undefined;
  }

  async #stepOfLog(
    log: string,
    stretches: readonly number[],
    { embedded, state }: Found,
    calls: EmbedCalls,
    known: Map<string, string | undefined>,
  ): Promise<Step> {
    const before = embedded.logs[log];
    if (before && stretches.includes(state.logs[log]!.last)) await this.#readNewest(log, calls, known);
    const entries = (await Promise.all(stretches.map((stretch) => this.#entries(log, stretch)))).flat();
    const keyOf = ({ version, seq }: Entry) => vectorKey(version, seq);
    await embedAll(
      entries.map((entry) => ({ key: `${log}\0${keyOf(entry)}`, text: entryToEmbed(entry) })),
      calls,
      known,
    );
    const operations = [...byStretch(entries, stretches)].map(([stretch, held]) =>
      this.#give(
        log,
        String(stretch),
        held.map((entry) => [keyOf(entry), known.get(`${log}\0${keyOf(entry)}`)]),
      ),
    );
    const now = logEmbedded(before ?? { upTo: 0, again: [] }, stretches);
    return { operations, embedded: { ...embedded, logs: { ...embedded.logs, [log]: now } } };
  }

  /** The vectors that the last stretch has: it grows, message by message. */
  async #readNewest(log: string, calls: EmbedCalls, known: Map<string, string | undefined>): Promise<void> {
    const { hits } = await this.#store.searchText({
      tenant: this.#partition.tenant,
      collection: log,
      within: { partition: this.#partition },
      terms: [],
      limit: 1,
      near: { model: this.#model, values: encodeVector(new Float32Array(calls.dimensions!).fill(1)) },
    });
    for (const { vectors = [] } of hits)
      for (const { key, values } of vectors) known.set(`${log}\0${key}`, values);
  }

  async #entries(log: string, stretch: number): Promise<readonly Entry[]> {
    const range = { after: stretch * STRETCH - 1, before: (stretch + 1) * STRETCH, limit: STRETCH };
    return (await this.#store.readLog(this.#partition, log, range)).entries;
  }

  async #stepOfMemories(
    { embedded }: Found,
    calls: EmbedCalls,
    known: Map<string, string | undefined>,
  ): Promise<Step | undefined> {
    const { again, after, done } = embedded.memories;
    if (done && again.length === 0) return undefined;
    const ids = again.slice(0, MEMORIES_AT_ONCE);
    const memories =
      done || ids.length > 0 ? { items: await this.#memories(ids) } : await this.#listMemories(after);
    const nameOf = ({ id, version }: { id: string; version: number }) => `${id}\0${version}`;
    await embedAll(
      memories.items.map((memory) => ({ key: nameOf(memory), text: memoryToEmbed(memory.value) })),
      calls,
      known,
    );
    const operations = memories.items.map((memory) =>
      this.#give(MEMORIES, memory.id, [[vectorKey(memory.version), known.get(nameOf(memory))]]),
    );
    const rest = { ...embedded.memories, again: again.slice(ids.length) };
    if (ids.length > 0 || done) return { operations, embedded: { ...embedded, memories: rest } };
    const next = 'next' in memories ? memories.next : undefined;
    const place = next === undefined ? { done: true as const } : { after: next };
    return { operations, embedded: { ...embedded, memories: { ...place, again } } };
  }

  async #memories(ids: readonly string[]) {
    const keys = ids.map((id) => ({ partition: this.#partition, kind: kinds.memory, id }));
    return (await this.#store.getRecords(keys)).filter((stored) => stored !== undefined);
  }

  #listMemories(after: string | undefined) {
    const range = { limit: MEMORIES_AT_ONCE, ...(after !== undefined && { after }) };
    return this.#store.listRecords(this.#partition, kinds.memory, range);
  }

  #give(
    collection: string,
    id: string,
    given: readonly (readonly [key: string, values: string | undefined])[],
  ): Operation {
    const vectors = given.flatMap(([key, values]): TextVector[] => (values ? [{ key, values }] : []));
    return { op: 'embed', collection, id, model: this.#model, vectors };
  }

  async #remove(found: Found): Promise<void> {
    const { [this.#model]: _, ...others } = found.state.embedded!;
    const documents = await this.#documents(found);
    const bare = ({ collection, id }: { collection: string; id: string }) => this.#give(collection, id, []);
    for (let start = 0; start < documents.length; start += REMOVED_AT_ONCE) {
      const operations = documents.slice(start, start + REMOVED_AT_ONCE).map(bare);
      // Nothing has them as its vectors any longer before the first of them goes.
      if (start === 0)
        found.version = await this.#put(found, { ...found.state, embedded: others }, operations);
      else
        await this.#store.commit({
          partition: this.#partition,
          operations: [this.#unchanged(found), ...operations],
        });
    }
    if (documents.length === 0) await this.#put(found, { ...found.state, embedded: others }, []);
  }

  async #documents({ state }: Found): Promise<{ collection: string; id: string }[]> {
    const documents = Object.entries(state.logs).flatMap(([collection, { first, last }]) =>
      Array.from({ length: last - first + 1 }, (_, i) => ({ collection, id: String(first + i) })),
    );
    for (let after: string | undefined; this.#partition.type === 'user'; ) {
      const { items, next } = await this.#listMemories(after);
      documents.push(...items.map(({ id }) => ({ collection: MEMORIES, id })));
      if (next === undefined) break;
      after = next;
    }
    return documents;
  }

  #commit(found: Found, { operations, embedded }: Step): Promise<number> {
    const { state } = found;
    const now = { ...state, embedded: { ...state.embedded, [this.#model]: embedded } };
    return this.#put(found, now, operations);
  }

  async #put({ version }: Found, state: IndexState, operations: readonly Operation[]): Promise<number> {
    const put: Operation = {
      op: 'put',
      kind: kinds.textIndex,
      id: kinds.textIndex,
      value: encodeJson(state, 'text index'),
      ifVersion: version,
    };
    const { results } = await this.#store.commit({
      partition: this.#partition,
      operations: [put, ...operations],
    });
    return results[0]!.version!;
  }

  #unchanged({ version }: Found): Operation {
    return { op: 'check', kind: kinds.textIndex, id: kinds.textIndex, ifVersion: version };
  }
}

/** Whether something that is in the index has no vector of a model yet. */
export function lacksVectors({ logs, embedded }: IndexState, model: string, type: string): boolean {
  const known = embedded?.[model] ?? nothingEmbedded;
  if (type === 'user') return !known.memories.done || known.memories.again.length > 0;
  return Object.entries(logs).some(
    ([log, { first, last }]) => logLacks(known.logs[log], first, last).length > 0,
  );
}

/** Adds to `known` the vectors of those texts that it lacks. */
async function embedAll(
  texts: readonly { key: string; text: string }[],
  calls: EmbedCalls,
  known: Map<string, string | undefined>,
): Promise<void> {
  const missing = texts.filter(({ key, text }) => text !== '' && !known.has(key));
  if (missing.length === 0) return;
  const vectors = await calls.documents(missing.map(({ text }) => text));
  for (const [i, { key }] of missing.entries()) {
    const vector = vectors[i];
    known.set(key, vector && encodeVector(vector));
  }
}

/** Whether somebody else has embedded something of it in the meantime. */
function isElsewhere(before: Found, now: Found): boolean {
  return (
    JSON.stringify(before.embedded) !== JSON.stringify(now.embedded) &&
    isFurther(before.embedded, now.embedded)
  );
}

function isFurther({ logs, memories }: Embedded, now: Embedded): boolean {
  if (now.memories.after !== memories.after || now.memories.done !== memories.done) return true;
  return Object.entries(now.logs).some(([log, { upTo }]) => upTo > (logs[log]?.upTo ?? 0));
}
