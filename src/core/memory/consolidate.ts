/** Merging what says the same, and settling contradictions, among all memories of an owner. */

import { createPause } from '../compaction/pause.ts';
import { encodeJson } from '../json.ts';
import { kinds } from '../partitions.ts';
import { factOf, replaces } from './facts.ts';
import { bandsOf, covers, type Sketch, similarity, sketchOf } from './likeness.ts';
import type { Contradicts } from './options.ts';
import type { Owner } from './owner.ts';
import { absorbed, type Content, type Held, newest } from './records.ts';
import { endOfBoth, type Life, outlives } from './retention.ts';
import type { Shelf } from './shelf.ts';
import { eachFew } from './sweep.ts';
import type { MemoryTransaction } from './transaction.ts';

/** What a consolidation did; with `dryRun`, what it would do. */
export interface Consolidation {
  /** How many memories were looked at. */
  examined: number;
  /** How many were merged into others, and into how many. */
  merged: number;
  into: number;
  /** How many were superseded. */
  superseded: number;
  /** How many rose to long-term memory. */
  promoted: number;
  /** How often `contradicts` was asked. */
  compared: number;
}

export interface HowToConsolidate {
  readonly similarity: number;
  readonly contradicts: Contradicts | undefined;
  readonly maxComparisons: number;
  readonly dryRun: boolean;
  /** Hears why `contradicts` failed: it is not asked again then, and the rest is done. */
  readonly onError: (error: unknown) => void;
}

/** How much alike two texts must be that may contradict each other. */
export const DEFAULT_SIMILARITY = 0.6;
export const DEFAULT_COMPARISONS = 200;
const RELATED = 0.15;
/** A band with more memories than this tells nothing: boilerplate. Only so many of it are compared with each other. */
const MAX_IN_BAND = 200;

export interface Sketched {
  readonly held: Held;
  readonly sketch: Sketch;
  readonly bands: readonly string[];
}

/** All memories of an owner, ready to be compared. */
export async function sketchAll(shelf: Shelf, owner: Owner): Promise<Sketched[]> {
  const all: Sketched[] = [];
  const pause = createPause();
  for await (const held of shelf.all(owner)) {
    await pause();
    const sketch = sketchOf(held.content.content);
    all.push({ held, sketch, bands: bandsOf(sketch) });
  }
  return all;
}

export async function consolidate(shelf: Shelf, owner: Owner, how: HowToConsolidate): Promise<Consolidation> {
  const all = await sketchAll(shelf, owner);
  const clusters = await clustersOf(all, how.similarity);
  const gone = new Set(clusters.flatMap(({ others }) => others.map(({ id }) => id)));
  const left = all.filter(({ held }) => !gone.has(held.id));
  const { pairs, compared } = await contradictions(left, how);
  const rising = left.map(({ held }) => held).filter(({ life }) => rises(shelf, life));
  const found: Consolidation = {
    examined: all.length,
    merged: gone.size,
    into: clusters.length,
    superseded: pairs.length,
    promoted: rising.length,
    compared,
  };
  if (how.dryRun || all.length === 0) return found;
  found.merged = 0;
  for (const { keeper, others } of clusters) found.merged += await merge(shelf, owner, keeper, others);
  found.superseded = await supersede(shelf, owner, pairs);
  await promote(shelf, owner, rising);
  await note(shelf, owner, found);
  return found;
}

interface Cluster {
  readonly keeper: Held;
  readonly others: Held[];
}

/**
 * Memories that one of them will do for: it says all that the others say. Pairs that have no band in common are never
 * looked at.
 */
export async function clustersOf(all: readonly Sketched[], least: number): Promise<Cluster[]> {
  // Whoever says most, is the most important and the most used, takes the others in.
  const ordered = [...all].sort(
    (a, b) =>
      b.sketch.statement.length - a.sketch.statement.length ||
      b.held.content.importance - a.held.content.importance ||
      b.held.life.uses - a.held.life.uses ||
      b.held.content.createdAt - a.held.content.createdAt,
  );
  const bands = byBand(ordered);
  const pause = createPause();
  const taken = new Set<string>();
  const clusters: Cluster[] = [];
  for (const one of ordered) {
    await pause();
    if (taken.has(one.held.id)) continue;
    const others: Held[] = [];
    for (const other of closeTo(one, bands)) {
      const turn = pause();
      if (turn) await turn;
      if (other === one || taken.has(other.held.id) || !sameKey(one.held.content, other.held.content))
        continue;
      if (!covers(one.sketch, other.sketch, least)) continue;
      taken.add(other.held.id);
      others.push(other.held);
    }
    if (others.length > 0) {
      taken.add(one.held.id);
      clusters.push({ keeper: one.held, others });
    }
  }
  return clusters;
}

/** Two keys are two things, however alike the texts. */
function sameKey(one: Content, other: Content): boolean {
  return one.key === undefined || other.key === undefined || one.key === other.key;
}

type Bands = ReadonlyMap<string, readonly Sketched[]>;

function byBand(all: readonly Sketched[]): Bands {
  const bands = new Map<string, Sketched[]>();
  for (const one of all) {
    for (const band of one.bands) {
      const held = bands.get(band);
      if (!held) bands.set(band, [one]);
      else if (held.length < MAX_IN_BAND) held.push(one);
    }
  }
  return bands;
}

function closeTo(one: Sketched, bands: Bands): Set<Sketched> {
  return new Set(one.bands.flatMap((band) => bands.get(band) ?? []));
}

/** The older of each pair that can't both be true, with the newer one. */
async function contradictions(
  all: readonly Sketched[],
  { contradicts, maxComparisons, onError }: HowToConsolidate,
): Promise<{ pairs: [older: Held, newer: Held][]; compared: number }> {
  const over = new Set<string>();
  const pairs: [Held, Held][] = [];
  const add = (older: Held, newer: Held) => {
    over.add(older.id);
    pairs.push([older, newer]);
  };
  for (const rivals of await sameSubject(all.map(({ held }) => held)))
    for (const older of rivals.slice(0, -1)) if (!over.has(older.id)) add(older, rivals.at(-1)!);
  let compared = 0;
  if (!contradicts) return { pairs, compared };
  for (const [older, newer] of await relatedPairs(all)) {
    if (compared >= maxComparisons) break;
    if (over.has(older.id) || over.has(newer.id) || !outlives(newer.life, older.life)) continue;
    compared++;
    try {
      if (await contradicts(told(older), told(newer))) add(older, newer);
    } catch (error) {
      onError(error);
      break;
    }
  }
  return { pairs, compared };
}

/** Memories whose place the newest takes, since it has their key or tells their fact; that one last. */
export async function sameSubject(all: readonly Held[]): Promise<Held[][]> {
  const pause = createPause();
  const subjects = new Map<string, Held[]>();
  for (const held of all) {
    await pause();
    const fact = factOf(held.content.content);
    const names = [
      ...(held.content.key === undefined ? [] : [`key:${held.content.key}`]),
      ...(fact === undefined ? [] : [`fact:${fact}`]),
    ];
    for (const name of names) addTo(subjects, name, held);
  }
  return [...subjects.values()].map(withoutOthers).filter((rivals) => rivals.length > 1);
}

function withoutOthers(rivals: readonly Held[]): Held[] {
  const sorted = [...rivals].sort(byAge);
  const last = sorted.pop()!;
  return [...sorted.filter((older) => replaces(last, older)), last];
}

function addTo<T>(lists: Map<string, T[]>, name: string, item: T): void {
  const list = lists.get(name);
  if (list) list.push(item);
  else lists.set(name, [item]);
}

function byAge(a: Held, b: Held): number {
  return a.content.updatedAt - b.content.updatedAt || (a.id < b.id ? -1 : 1);
}

/** Pairs that are about the same things, the most alike first: those that share their rarest terms. */
async function relatedPairs(all: readonly Sketched[]): Promise<[older: Held, newer: Held][]> {
  const pause = createPause();
  const holding = new Map<string, Sketched[]>();
  for (const one of all) for (const term of one.sketch.terms) addTo(holding, term, one);
  const pairs = new Map<string, { pair: [Held, Held]; alike: number }>();
  for (const some of holding.values()) {
    await pause();
    if (some.length > 20) continue;
    for (const [i, one] of some.entries()) {
      await pause();
      for (const other of some.slice(i + 1)) {
        const pair = [one.held, other.held].sort(byAge) as [Held, Held];
        const name = `${pair[0].id} ${pair[1].id}`;
        if (pairs.has(name)) continue;
        const alike = similarity(one.sketch, other.sketch);
        if (alike >= RELATED) pairs.set(name, { pair, alike });
      }
    }
  }
  return [...pairs.values()].sort((a, b) => b.alike - a.alike).map(({ pair }) => pair);
}

function told({ content: { content, createdAt } }: Held): { content: string; createdAt: number } {
  return { content, createdAt };
}

function rises({ settings: { promoteUses, longImportance } }: Shelf, life: Life): boolean {
  return life.tier === 'medium' && (life.uses >= promoteUses || life.importance >= longImportance);
}

/** @returns how many were merged: what was changed meanwhile is left for the next time */
async function merge(shelf: Shelf, owner: Owner, keeper: Held, others: readonly Held[]): Promise<number> {
  let merged = 0;
  await eachFew(others, async (some) => {
    const { result } = await shelf.transact(owner, async (transaction) => {
      const now = shelf.context.clock.now();
      const [into, ...rest] = await transaction.load([keeper.id, ...some.map(({ id }) => id)]);
      if (!into || !isSame(into, keeper)) return 0;
      let { content, life } = into;
      let count = 0;
      for (const [i, other] of rest.entries()) {
        if (!other || !isSame(other, some[i]!)) continue;
        content = absorbed(content, other.id, other.content, now);
        life = livedTogether(life, other.life, content.importance);
        transaction.remove(other);
        count++;
      }
      if (count === 0) return 0;
      transaction.change(into, { content, life });
      transaction.count('consolidated', count);
      return count;
    });
    merged += result;
  });
  return merged;
}

/** Whether a memory still says what it said. */
function isSame(now: Held, then: Held): boolean {
  return now.content.content === then.content.content && now.content.key === then.content.key;
}

function livedTogether(one: Life, other: Life, importance: number): Life {
  const { expiresAt: _, ...life } = one;
  return {
    ...life,
    tier: one.tier === 'long' || other.tier === 'long' ? 'long' : 'medium',
    importance,
    uses: one.uses + other.uses,
    usedAt: Math.max(one.usedAt, other.usedAt),
    ...endOfBoth(one, other),
  };
}

async function supersede(shelf: Shelf, owner: Owner, pairs: readonly [Held, Held][]): Promise<number> {
  let count = 0;
  for (const [older, newer] of pairs) {
    const { result } = await shelf.transact(owner, (transaction) =>
      supersedeOne(shelf, transaction, older, newer),
    );
    if (result) count++;
  }
  return count;
}

async function supersedeOne(
  shelf: Shelf,
  transaction: MemoryTransaction,
  older: Held,
  newer: Held,
): Promise<boolean> {
  const [then, now] = await transaction.load([older.id, newer.id]);
  if (!then || !now || !isSame(then, older) || !isSame(now, newer)) return false;
  const supersedes = newest([...(now.content.supersedes ?? []), then.id]);
  transaction.supersede(then, now.id, shelf.context.clock.now());
  transaction.change(now, { content: { ...now.content, supersedes } });
  return true;
}

async function promote(shelf: Shelf, owner: Owner, rising: readonly Held[]): Promise<void> {
  await eachFew(rising, (some) =>
    shelf.transact(owner, async (transaction) => {
      for (const held of await transaction.load(some.map(({ id }) => id)))
        if (held && rises(shelf, held.life))
          transaction.change(held, { life: { ...held.life, tier: 'long' } });
    }),
  );
}

/** What was done, for `stats` and for events. */
async function note(shelf: Shelf, owner: Owner, found: Consolidation): Promise<void> {
  const value = encodeJson({ ...found, at: shelf.context.clock.now() }, 'consolidation');
  await shelf.context.store.commit({
    partition: owner.partition,
    operations: [{ op: 'put', kind: kinds.memoryConsolidation, id: kinds.memoryConsolidation, value }],
  });
}
