import type { Owner } from './owner.ts';
import type { Shelf } from './shelf.ts';
import { eachFew, type Swept, sweepFaded } from './sweep.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** How many memories a cleanup removed, and why; with `dryRun`, how many it would. */
export interface Cleanup extends Swept {
  /** Those that were not used for `maxAgeDays`. */
  unused: number;
  /** All that went. */
  removed: number;
}

/** @param only whose; everybody's of the tenant where absent */
export async function cleanup(
  shelf: Shelf,
  only: Owner | undefined,
  { maxAgeDays, dryRun }: { maxAgeDays: number | undefined; dryRun: boolean },
): Promise<Cleanup> {
  const swept = await sweepFaded(shelf, only, dryRun);
  const found: Cleanup = { ...swept, unused: 0, removed: 0 };
  if (maxAgeDays !== undefined) await cleanupOld(shelf, only, { maxAgeDays, dryRun }, found);
  found.removed = found.expired + found.decayed + found.unused + found.superseded;
  return found;
}

async function cleanupOld(
  shelf: Shelf,
  only: Owner | undefined,
  { maxAgeDays, dryRun }: { maxAgeDays: number; dryRun: boolean },
  found: Cleanup,
): Promise<void> {
  const before = shelf.context.clock.now() - maxAgeDays * DAY_MS;
  let superseded = 0;
  for await (const owner of only ? [only] : shelf.owners()) {
    found.unused += await removeUnused(shelf, owner, before, dryRun);
    superseded += await removeSuperseded(shelf, owner, before, dryRun);
  }
  // Those that the sweep only counted are still there, and counted again: one of the two counts has the other's in it.
  found.superseded = dryRun ? Math.max(found.superseded, superseded) : found.superseded + superseded;
}

async function removeUnused(shelf: Shelf, owner: Owner, before: number, dryRun: boolean): Promise<number> {
  const ids: string[] = [];
  for await (const { id, life } of shelf.lives(owner)) if (isUnused(life, before)) ids.push(id);
  if (dryRun) {
    // What fades or has ended is counted as that.
    const now = shelf.context.clock.now();
    const held = await shelf.load(owner, ids);
    return held.filter((one) => one && !shelf.isOver(one.life, now)).length;
  }
  let count = 0;
  await eachFew(ids, async (some) => {
    const { result } = await shelf.transact(owner, async (transaction) => {
      const unused = (await transaction.load(some)).filter((held) => held && isUnused(held.life, before));
      for (const held of unused) transaction.remove(held!);
      return unused.length;
    });
    count += result;
  });
  return count;
}

function isUnused({ usedAt, importance }: { usedAt: number; importance: number }, before: number): boolean {
  return usedAt < before && importance < 1;
}

async function removeSuperseded(
  shelf: Shelf,
  owner: Owner,
  before: number,
  dryRun: boolean,
): Promise<number> {
  const ids: string[] = [];
  for await (const { id, at } of shelf.superseded(owner)) if (at < before) ids.push(id);
  if (!dryRun) for (const id of ids) await shelf.removeSuperseded(owner, id);
  return ids.length;
}
