import type { TextQuery } from '../../core/store.ts';
import { numbersOf } from '../shared/texts.ts';
import type { Database } from './database.ts';
import { quoteName } from './schema.ts';

/** pgvector compares no longer ones. */
const MOST_NUMBERS = 16_000;
/** So many digits tell any two numbers of 32 bits apart. */
const DIGITS = 9;

/** The extension that compares vectors, and the schema in which it was installed. */
export interface Pgvector {
  readonly version: string;
  readonly schema: string;
}

export async function findPgvector(database: Database): Promise<Pgvector | undefined> {
  const [row] = await database.query<[string, string]>(
    `SELECT e.extversion, n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
     WHERE e.extname = 'vector'`,
  );
  return row && { version: row[0], schema: row[1] };
}

/** Whether vectors can be compared with others; those of length 0 have no direction. */
export function areComparable(numbers: Float32Array): boolean {
  return numbers.length <= MOST_NUMBERS && numbers.every(Number.isFinite) && numbers.some((n) => n !== 0);
}

export function digitsOf(numbers: Float32Array): string {
  return Array.from(numbers, (n) => n.toPrecision(DIGITS)).join(',');
}

/** Numbers of 32 bits in base64, of what `array_send` makes of an array: each stands behind its length. */
export function base64Of(array: string): string {
  const sent = Buffer.from(array, 'base64');
  const count = sent.readInt32BE(0) === 0 ? 0 : sent.readInt32BE(12);
  const numbers = Buffer.alloc(count * 4);
  for (let i = 0; i < count; i++) numbers.writeInt32LE(sent.readInt32BE(24 + i * 8), i * 4);
  return numbers.toString('base64');
}

/** The primary keys of a place's documents with the nearest vectors, the nearest first. Looks at all that there are. */
export async function findNearest(
  database: Database,
  pgvector: Pgvector,
  schema: string,
  { tenant, collection, within, limit, near }: TextQuery,
): Promise<number[]> {
  const asked = numbersOf(near!.values);
  if (!areComparable(asked) || limit === 0) return [];
  const [type, distance] = [
    `${quoteName(pgvector.schema)}.vector`,
    `OPERATOR(${quoteName(pgvector.schema)}.<=>)`,
  ];
  const values: unknown[] = [tenant, collection, near!.model, `[${digitsOf(asked)}]`, asked.length, limit];
  const place = 'scope' in within ? [within.scope] : [within.partition.type, within.partition.id];
  const where =
    'scope' in within
      ? 't.tenant = $1 AND t.scope = $7'
      : `t.partition = (SELECT p.pk FROM ${schema}.partitions p WHERE p.tenant = $1 AND p.type = $7 AND p.id = $8)`;
  const rows = await database.call<[string]>(
    `SELECT d.doc FROM ${schema}.text_blocks t, unnest(t.docs, t.orders) d(doc, position)
       JOIN ${schema}.text_vectors v ON v.doc = d.doc AND v.model = $3
     WHERE ${where} AND t.collection = $2 GROUP BY d.doc, d.position
     ORDER BY min(CASE WHEN v.comparable AND cardinality(v.numbers) = $5
       THEN v.numbers::${type} ${distance} $4::${type} ELSE 1 END), d.position DESC LIMIT $6`,
    [...values, ...place],
  );
  return rows.map(([doc]) => Number(doc));
}
