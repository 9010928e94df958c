import { CODES, KINDS } from './codes.ts';
import { APPEND_GROUP } from './schema-append.ts';
import { COMMIT_GROUP } from './schema-commit.ts';
import { FUNCTIONS, READ_AHEAD, READ_RUNS } from './schema-functions.ts';
import { TABLES } from './schema-tables.ts';
import { TEXT_FUNCTIONS, TEXT_TABLES } from './schema-texts.ts';

/** Into how many tables entries are split by their log. Each commit opens those that it writes to. */
const ENTRY_TABLES = 8;

/**
 * Migrations, oldest first; the schema's version is how many have run. Never edit one that was released: add another.
 * While old processes are still running, what they call has to stay.
 */
const migrations: readonly string[] = [
  TABLES + FUNCTIONS + COMMIT_GROUP + APPEND_GROUP,
  TEXT_TABLES + TEXT_FUNCTIONS + COMMIT_GROUP.replace('CREATE FUNCTION', 'CREATE OR REPLACE FUNCTION'),
  READ_RUNS,
  READ_AHEAD,
];

/** The error of a function that must see what was committed while it waited, and can't in a transaction of this kind. */
export const OTHER_ISOLATION = 'HF002';

/**
 * In a function: sees to it that it sees what was committed before it got its locks, and that its transaction is
 * acknowledged no sooner than was asked for.
 */
const BE_SOUND = `IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
    RAISE EXCEPTION 'not read committed' USING ERRCODE = '${OTHER_ISOLATION}';
  END IF;
  IF durability = 'normal' THEN
    reply := set_config('synchronous_commit', 'off', true);
  ELSIF current_setting('synchronous_commit') IN ('off', 'local', 'remote_write') THEN
    reply := set_config('synchronous_commit', 'on', true);
  END IF;`;

/** In a function: gives its transaction its position in the journal. The id comes first: a standby refuses that. */
const BE_PLACED = `place := pg_current_xact_id()::text::bigint;
  place := place + coalesce((SELECT m.shift FROM {schema}.meta m, {schema}.epoch e
    WHERE e.server_start = pg_postmaster_start_time()), {schema}.begin_epoch());`;

export const SCHEMA_VERSION = migrations.length;

/** The SQL that brings a schema from a version to the newest one, a text for each step. */
export function migrationsFrom(version: number, schema: string): string[] {
  return migrations.slice(version).map((migration, i) => {
    const create = version + i === 0 ? `CREATE SCHEMA IF NOT EXISTS {schema};\n` : '';
    const done = `\nUPDATE {schema}.meta SET schema_version = ${version + i + 1};\n`;
    return fill(create + migration + done, schema);
  });
}

/** A name as SQL has it, whatever characters are in it. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function quoteText(text: string): string {
  return `E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

function fill(sql: string, schema: string): string {
  const name = quoteName(schema);
  // What encloses the functions' bodies must not be in a body, and the schema's name is.
  let body = '$body$';
  for (let i = 0; name.includes(body); i++) body = `$body${i}$`;
  const words: Record<string, string | number> = {
    ...CODES,
    schema: name,
    be_sound: BE_SOUND,
    versions: quoteText(`${name}.versions`),
    ...kindWords(),
  };
  return sql
    .replace('{entry_tables}', entryTables())
    .replaceAll('{be_placed}', BE_PLACED)
    .replaceAll('$body$', () => body)
    .replaceAll(/\{(\w+)\}/g, (word, key: string) => String(words[key] ?? word));
}

function kindWords(): Record<string, number> {
  const words = Object.entries(KINDS).map(([kind, bit]) => {
    return [`has_${kind.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`, bit] as const;
  });
  return Object.fromEntries(words);
}

function entryTables(): string {
  return Array.from({ length: ENTRY_TABLES }, (_, i) => {
    return `CREATE TABLE {schema}.entries_${i} PARTITION OF {schema}.entries
  FOR VALUES WITH (MODULUS ${ENTRY_TABLES}, REMAINDER ${i});`;
  }).join('\n');
}
