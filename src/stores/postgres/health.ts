import type { Clock } from '../../core/clock.ts';
import { isUnavailable } from '../../core/errors.ts';
import type { StoreHealth } from '../../core/store.ts';
import type { Durability } from '../../core/store-options.ts';
import type { Database } from './database.ts';
import { quoteName, SCHEMA_VERSION } from './schema.ts';

/** A commit that readers can't have after so long is a problem: something holds the journal back. */
const HELD_TOO_LONG_MS = 5000;
const MOST_COUNTED = 10_000;

type Settings = [
  version: string,
  fsync: string,
  commit: string,
  standbys: string,
  standby: boolean,
  size: string,
  time: string,
];
type Held = [count: string, oldest: string | null];
/** Of another user's process, an ordinary user is told no more than its id. */
type Holder = [pid: number, state: string | null, seconds: number | null];

export interface HealthParts {
  database: Database;
  schema: string;
  durability: Durability;
  clock: Clock;
  listening: boolean;
  /** The version of the extension; undefined where it is not there. */
  pgvector: string | undefined;
}

/** Problems that only make the store less safe are told, and it is well nevertheless. */
export async function checkHealth(parts: HealthParts): Promise<StoreHealth> {
  try {
    return await askHealth(parts);
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    const { schema, durability } = parts;
    return { ok: false, problems: ['the server does not answer'], facts: { schema, durability } };
  }
}

async function askHealth({
  database,
  schema,
  durability,
  clock,
  listening,
  pgvector,
}: HealthParts): Promise<StoreHealth> {
  const before = clock.now();
  const [[settings], [held], [version], standbys] = await Promise.all([
    database.query<Settings>(SETTINGS, [schema]),
    database.query<Held>(heldSql(schema), [MOST_COUNTED]),
    database.query<[number]>(`SELECT m.schema_version FROM ${quoteName(schema)}.meta m`),
    database.query<[string]>("SELECT state FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')"),
  ]);
  const [server, fsync, synchronousCommit, standbyNames, readOnly, size, time] = settings!;
  const clockSkewMs = Math.round((before + clock.now()) / 2 - Number(time));
  const warnings: string[] = [];
  const problems: string[] = [];
  if (fsync === 'off' && durability !== 'normal') {
    warnings.push('the server has fsync off: a power cut can lose or damage what was acknowledged');
  }
  if (readOnly) problems.push('the server is a standby and takes no writes');
  if (durability === 'replicated' && standbyNames === '')
    problems.push('the server has no synchronous standby');
  else if (durability === 'replicated' && standbys.length === 0) {
    problems.push('no synchronous standby is connected: commits wait for it');
  }
  const heldBack = Number(held![0]);
  const heldMs = held![1] === null ? 0 : Math.max(0, clock.now() - Number(held![1]));
  if (heldMs > HELD_TOO_LONG_MS) problems.push(await holder(database, heldMs));
  const { totalCount, idleCount, waitingCount } = database.pool;
  return {
    ok: problems.length === 0,
    problems: [...problems, ...warnings],
    facts: {
      postgres: server,
      schema,
      schemaVersion: Number(version![0]),
      knownSchema: SCHEMA_VERSION,
      durability,
      synchronousCommit,
      fsync: fsync === 'on',
      synchronousStandbys: standbys.length,
      sizeBytes: Number(size),
      connections: totalCount,
      idleConnections: idleCount,
      waitingCalls: waitingCount,
      wokenBy: listening ? 'notifications' : 'looking',
      changesHeldBack: heldBack,
      heldBackMs: heldMs,
      clockSkewMs,
      pgvector: pgvector ?? 'not installed',
    },
  };
}

/** Who it is that keeps the journal's readers waiting, and for how long. */
async function holder(database: Database, heldMs: number): Promise<string> {
  const [row] = await database.query<Holder>(
    `SELECT pid, state, extract(epoch FROM now() - xact_start)::int FROM pg_stat_activity
     WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() ORDER BY age(backend_xid) DESC LIMIT 1`,
  );
  const seconds = Math.round(heldMs / 1000);
  const what = `the journal's readers have waited for ${seconds} s for a transaction to end`;
  if (!row) return `${what}; it may be a prepared one, see pg_prepared_xacts`;
  const [pid, state, age] = row;
  if (age === null) return `${what}: that of process ${pid}; members of pg_read_all_stats are told more`;
  return `${what}: that of process ${pid} (${state ?? 'unknown'}), which began ${age} s ago`;
}

const SETTINGS = `SELECT current_setting('server_version'), current_setting('fsync'),
  current_setting('synchronous_commit'), current_setting('synchronous_standby_names'), pg_is_in_recovery(),
  (SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'S', 'm')),
  extract(epoch FROM clock_timestamp()) * 1000`;

function heldSql(schema: string): string {
  const name = quoteName(schema);
  return `SELECT count(*), min(h.at) FROM (
    SELECT j.at FROM ${name}.journal j
    WHERE j.position >= (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint + m.shift FROM ${name}.meta m)
    ORDER BY j.position LIMIT $1) h`;
}
