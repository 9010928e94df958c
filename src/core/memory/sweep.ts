/** Forgetting: what has ended or faded, and what is more than a tier may hold. */
import { indexes, kinds } from '../partitions.ts';
import type { IndexHit } from '../store.ts';
import { type Owner, ownerOfPartition } from './owner.ts';
import { isExpired } from './records.ts';
import { faded, type Life, retentionOf } from './retention.ts';
import type { Shelf } from './shelf.ts';

const PAGE = 200;
/** So many memories are written in one commit. */
const AT_ONCE = 50;

/** How many memories went, and why. */
export interface Swept {
  /** Their time to live was over. */
  expired: number;
  /** Medium-term memories whose retention had fallen too low. */
  decayed: number;
  /** Long-term memories that became medium-term ones for that reason. */
  demoted: number;
  /** Memories that were superseded long ago. */
  superseded: number;
}

function nothing(): Swept {
  return { expired: 0, decayed: 0, demoted: 0, superseded: 0 };
}

function add(sum: Swept, more: Swept): void {
  for (const field of Object.keys(more) as (keyof Swept)[]) sum[field] += more[field];
}

/** Lets go what has ended or faded by now, by index: the work is in proportion to what goes. */
export async function sweepFaded(shelf: Shelf, only: Owner | undefined, dryRun: boolean): Promise<Swept> {
  const { store, tenant, clock } = shelf.context;
  const swept = nothing();
  const now = clock.now();
  for (let after: string | undefined; ; ) {
    const range = { tenant, index: indexes.memoriesByFading, key: '', to: now, limit: PAGE };
    const { items, next } = await store.queryIndex({ ...range, ...(after !== undefined && { after }) });
    for (const { owner, ids, superseded } of byOwner(items)) {
      if (only && only.key !== owner.key) continue;
      add(swept, dryRun ? await lookAt(shelf, owner, ids, now) : await letGo(shelf, owner, ids, now));
      for (const id of superseded)
        if (dryRun || (await shelf.removeSuperseded(owner, id))) swept.superseded++;
    }
    if (next === undefined) return swept;
    after = next;
  }
}

/** Makes room where a tier holds more than it may: what is least remembered goes down a tier, or goes. */
export async function trim(shelf: Shelf, owner: Owner): Promise<number> {
  const { sizes } = shelf.settings;
  const now = shelf.context.clock.now();
  const tiers: Record<Life['tier'], { id: string; life: Life }[]> = { long: [], medium: [] };
  for await (const one of shelf.lives(owner)) tiers[one.life.tier].push(one);
  const weakest = (all: { id: string; life: Life }[], room: number) =>
    all
      .map((one) => ({ ...one, retention: retentionOf(one.life, now, shelf.settings) }))
      // Of two that are remembered alike the less important one goes.
      .sort(
        (a, b) =>
          a.retention - b.retention || a.life.importance - b.life.importance || a.life.usedAt - b.life.usedAt,
      )
      .slice(0, Math.max(0, all.length - room));
  const down = weakest(tiers.long, sizes.long).map(({ id, life }): { id: string; life: Life } => ({
    id,
    life: { ...life, tier: 'medium' },
  }));
  const out = new Set(weakest([...tiers.medium, ...down], sizes.medium).map(({ id }) => id));
  const moved = down.filter(({ id }) => !out.has(id)).map(({ id }) => id);
  await eachFew([...out, ...moved], (ids) =>
    shelf.transact(owner, async (transaction) => {
      for (const held of await transaction.load(ids)) {
        if (!held || held.life.usedAt > now) continue;
        if (out.has(held.id)) transaction.remove(held);
        else transaction.change(held, { life: { ...held.life, tier: 'medium' } });
      }
    }),
  );
  return out.size;
}

/** Calls for a few items at a time, one call after another. */
export async function eachFew<T>(items: readonly T[], work: (some: T[]) => Promise<unknown>): Promise<void> {
  for (let start = 0; start < items.length; start += AT_ONCE) await work(items.slice(start, start + AT_ONCE));
}

async function letGo(shelf: Shelf, owner: Owner, ids: readonly string[], now: number): Promise<Swept> {
  const sum = nothing();
  await eachFew(ids, async (some) => {
    const { result } = await shelf.transact(owner, async (transaction) => {
      const swept = nothing();
      for (const held of await transaction.load(some)) {
        // Used or renewed meanwhile: it stays.
        if (!held || !shelf.isOver(held.life, now)) continue;
        const life = faded(held.life, now);
        swept[fateOf(held.life, now)]++;
        if (life) transaction.change(held, { life });
        else transaction.remove(held);
      }
      return swept;
    });
    add(sum, result);
  });
  return sum;
}

async function lookAt(shelf: Shelf, owner: Owner, ids: readonly string[], now: number): Promise<Swept> {
  const swept = nothing();
  for (const held of await shelf.load(owner, ids))
    if (held && shelf.isOver(held.life, now)) swept[fateOf(held.life, now)]++;
  return swept;
}

function fateOf(life: Life, now: number): keyof Swept {
  if (isExpired(life, now)) return 'expired';
  return faded(life, now) ? 'demoted' : 'decayed';
}

function byOwner(hits: readonly IndexHit[]): { owner: Owner; ids: string[]; superseded: string[] }[] {
  const owners = new Map<string, { owner: Owner; ids: string[]; superseded: string[] }>();
  for (const { partition, kind, id } of hits) {
    const fresh = { owner: ownerOfPartition(partition), ids: [], superseded: [] };
    const known = owners.get(partition.id) ?? fresh;
    owners.set(partition.id, known);
    (kind === kinds.memorySuperseded ? known.superseded : known.ids).push(id);
  }
  return [...owners.values()];
}
