import { decodeJson } from '../json.ts';
import { kinds, SYSTEM_PARTITION } from '../partitions.ts';
import type { IndexEntry, Partition, Stored } from '../store.ts';
import type { Writer } from './writer.ts';

/** What the engine keeps about this one store, and means nothing in another. */
const ownKinds: readonly string[] = [kinds.consumer, kinds.embedding, kinds.identity];

/** Whether a record goes along when its partition is copied. */
export function isCopied({ partition: { tenant, type, id }, kind }: Stored): boolean {
  const { tenant: system, type: systemType, id: systemId } = SYSTEM_PARTITION;
  const inSystem = tenant === system && type === systemType && id === systemId;
  return kind !== kinds.copy && kind !== kinds.textIndex && !(inSystem && ownKinds.includes(kind));
}

export function isSystem({ tenant }: Partition): boolean {
  return tenant === SYSTEM_PARTITION.tenant;
}

/**
 * Makes the target's records those of the source: both come by kind and id.
 * @param seen hears of each record of the source
 */
export async function copyRecords(
  source: AsyncIterable<Stored>,
  target: AsyncIterator<Stored>,
  writer: Writer,
  seen: (record: Stored) => void,
): Promise<void> {
  const remove = ({ kind, id }: Stored) => writer.add({ op: 'delete', kind, id });
  let there = await nextCopied(target);
  for await (const record of source) {
    if (!isCopied(record)) continue;
    seen(record);
    while (there && compare(there, record) < 0) {
      await remove(there);
      there = await nextCopied(target);
    }
    const known: Stored | undefined = there && compare(there, record) === 0 ? there : undefined;
    if (!known || fingerprint(known) !== fingerprint(record)) await put(writer, record);
    if (known) there = await nextCopied(target);
  }
  for (; there; there = await nextCopied(target)) await remove(there);
}

/** All that makes a record up, as text that is the same for the same record of every store. */
export function fingerprint({ kind, id, version, value, counter = false, indexes = [] }: Stored): string {
  const places = indexes.map(placeOf).sort();
  return JSON.stringify([kind, id, version, counter, counter ? sorted(value) : value, places]);
}

async function put(
  writer: Writer,
  { kind, id, version, value, counter = false, indexes = [] }: Stored,
): Promise<void> {
  const operation = { op: 'put', kind, id, version, value, counter, indexes } as const;
  await writer.add(operation, Buffer.byteLength(value));
}

async function nextCopied(records: AsyncIterator<Stored>): Promise<Stored | undefined> {
  for (;;) {
    const { done, value } = await records.next();
    if (done) return undefined;
    if (isCopied(value)) return value;
  }
}

/** By kind and id, in the order of their bytes, as stores list them. */
function compare(a: Stored, b: Stored): number {
  return compareBytes(a.kind, b.kind) || compareBytes(a.id, b.id);
}

function compareBytes(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** A counter's fields have no order of their own. */
function sorted(value: string): [string, number][] {
  return Object.entries(decodeJson<Record<string, number>>(value)).sort(([a], [b]) => (a < b ? -1 : 1));
}

function placeOf({ index, key, order }: IndexEntry): string {
  return JSON.stringify([index, key, order]);
}
