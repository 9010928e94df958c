import type { Batch } from '../../core/store.ts';
import { partitionKey } from '../shared/pages.ts';

/** A transaction holds a lock for each of its partitions, and a server has room for some thousands of them. */
const MAX_PARTITIONS = 128;
const MAX_WAVES = 64;
const MAX_CHARACTERS = 16 * 1024 * 1024;

/** A batch of a group, and where it is in the group as it was given. */
export interface Planned {
  readonly batch: Batch;
  readonly place: number;
  /** Its partition among those of the group. */
  readonly partition: number;
}

/** What goes out in one call: batches in waves, each partition's in order. */
export interface Plan {
  readonly partitions: readonly Batch['partition'][];
  readonly waves: readonly (readonly Planned[])[];
  /** Whether all that its batches do is to append at the ends of logs. */
  readonly plain: boolean;
}

interface Seen {
  partition: number;
  wave: number;
  plain: boolean;
}

/**
 * Splits a group into calls, and the batches of a call into waves. Those of one wave are judged and written together,
 * so a batch is in a later wave than those of its partition before it, unless all it does, and all they do, is to
 * append at the log's end: then their order within the wave is enough.
 */
export function planCalls(batches: readonly Batch[]): Plan[] {
  const plans: Plan[] = [];
  for (let done = 0; done < batches.length; ) {
    const { plan, count } = planCall(batches, done);
    plans.push(plan);
    done += count;
  }
  return plans;
}

/** A call for one batch. */
export function planAlone(batch: Batch, place: number): Plan {
  return { partitions: [batch.partition], waves: [[{ batch, place, partition: 1 }]], plain: false };
}

function planCall(batches: readonly Batch[], start: number): { plan: Plan; count: number } {
  const partitions: Batch['partition'][] = [];
  const waves: Planned[][] = [];
  const seen = new Map<string, Seen>();
  let allPlain = true;
  let characters = 0;
  let place = start;
  for (; place < batches.length; place++) {
    const batch = batches[place]!;
    const key = partitionKey(batch.partition);
    const plain = isPlain(batch);
    const known = seen.get(key);
    const wave = known ? known.wave + (plain && known.plain ? 0 : 1) : 0;
    characters += sizeOf(batch);
    const full = partitions.length === MAX_PARTITIONS && !known;
    if (place > start && (full || wave === MAX_WAVES || characters > MAX_CHARACTERS)) break;
    const partition = known?.partition ?? partitions.push(batch.partition);
    allPlain &&= plain;
    seen.set(key, { partition, wave, plain });
    const planned = { batch, place, partition };
    if (waves[wave]) waves[wave].push(planned);
    else waves[wave] = [planned];
  }
  return { plan: { partitions, waves, plain: allPlain }, count: place - start };
}

/** Whether all a batch does is to append, without looking at what is in the log. */
function isPlain({ id, operations }: Batch): boolean {
  if (id !== undefined) return false;
  return operations.every((operation) => {
    if (operation.op === 'check') return true;
    if (operation.op !== 'append') return false;
    const { ifLastSeq, startSeq, entries } = operation;
    return (
      ifLastSeq === undefined && startSeq === undefined && entries.every((entry) => entry.id === undefined)
    );
  });
}

function sizeOf({ operations }: Batch): number {
  let characters = 0;
  for (const operation of operations) {
    if ('value' in operation) characters += operation.value.length;
    else if (operation.op === 'embed')
      for (const { values } of operation.vectors) characters += values.length;
    else if (operation.op === 'append') for (const { value } of operation.entries) characters += value.length;
  }
  return characters;
}
