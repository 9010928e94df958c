/** What is looked at in the store, its journal, and where it is kept. */
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Store, StoreHealth } from '../store.ts';
import { type CheckOutcome, type HealthFacts, type HealthStatus, levelOf, worst } from './check.ts';
import { type ConsumerState, readJournalState } from './journal-state.ts';
import { mostCounted, type Thresholds } from './options.ts';

/** What the store said of itself, and how long that took. */
export interface StoreAnswer extends StoreHealth {
  readonly tookMs: number;
}

/** Whether the store works. One that takes writes into a fallback works, but not as it should. */
export function checkStore({ name }: Store, answer: StoreAnswer, { storeMs }: Thresholds): CheckOutcome {
  const { ok, problems, facts, tookMs } = answer;
  const slow = levelOf(tookMs, storeMs);
  const known: HealthStatus = !ok ? 'unhealthy' : problems.length > 0 ? 'degraded' : 'healthy';
  const told = [...problems, ...(slow === 'healthy' ? [] : [`took ${tookMs} ms to answer`])];
  const recover =
    facts.degraded === true
      ? 'Writes are kept in the fallback: recover("replay-spool") asks the store at once whether it is back.'
      : !ok
        ? 'recover("reconnect") asks a server at once whether it is back.'
        : undefined;
  return {
    status: worst([known, slow]),
    message: told.length > 0 ? told.join('; ') : `${name} answers`,
    ...(recover !== undefined && { hint: recover }),
    facts: { ...facts, answeredInMs: tookMs },
  };
}

/** Whether the layout of the store is one that this version knows. */
export function checkSchema({ facts }: StoreAnswer): CheckOutcome {
  const { knownSchema } = facts;
  // A Postgres schema has a name, and so its version another one.
  const schema = facts.schemaVersion ?? facts.schema;
  if (knownSchema === undefined || schema === undefined)
    return { status: 'healthy', message: 'has no version' };
  if (Number(schema) === Number(knownSchema))
    return { status: 'healthy', message: `is ${schema}, as this version has it`, facts: { schema } };
  const isNewer = Number(schema) > Number(knownSchema);
  return {
    status: 'unhealthy',
    message: `is ${schema}, this version knows ${knownSchema}`,
    hint: isNewer ? 'A newer Holdfast has migrated the store: upgrade this one.' : 'Run `holdfast migrate`.',
    facts: { schema, knownSchema },
  };
}

/** How much room is left: on the disk of what is a file, in the memory of a server that is bounded. */
export async function checkRoom(
  { facts }: StoreAnswer,
  thresholds: Thresholds,
): Promise<CheckOutcome | null> {
  const { path, spoolPath, degraded } = facts;
  const spool = await diskRoom('spool', spoolPath, thresholds);
  const rooms = [
    await diskRoom('store', path, thresholds),
    // While the store is there, nothing goes into the spool.
    spool?.status === 'unhealthy' && degraded !== true ? { ...spool, status: 'degraded' as const } : spool,
    serverRoom(facts, thresholds),
  ].filter((room) => room !== undefined);
  if (rooms.length === 0) return null;
  const hints = rooms.flatMap(({ hint }) => hint ?? []);
  return {
    status: worst(rooms.map((room) => room.status)),
    message: rooms.map((room) => room.message).join('; '),
    ...(hints.length > 0 && { hint: [...new Set(hints)].join(' ') }),
    facts: Object.assign({}, ...rooms.map((room) => room.facts)) as HealthFacts,
  };
}

/** @param path as the store tells it: names that begin with a colon are in memory */
async function diskRoom(
  what: 'store' | 'spool',
  path: HealthFacts[string] | undefined,
  { diskFreeBytes: { degraded, unhealthy } }: Thresholds,
): Promise<CheckOutcome | undefined> {
  if (typeof path !== 'string' || path.startsWith(':')) return undefined;
  const { bavail, bsize, blocks } = await statfs(dirname(path));
  const free = bavail * bsize;
  const status: HealthStatus = free < unhealthy ? 'unhealthy' : free < degraded ? 'degraded' : 'healthy';
  const total = blocks * bsize;
  return {
    status,
    message: `${mib(free)} free where the ${what === 'store' ? 'store' : 'fallback'} is`,
    ...(status !== 'healthy' && { hint: 'Make room, or move the file to a larger disk.' }),
    facts: what === 'store' ? { freeBytes: free, totalBytes: total } : { spoolFreeBytes: free },
  };
}

function serverRoom(facts: HealthFacts, { serverMemory }: Thresholds): CheckOutcome | undefined {
  const { usedMemoryBytes, maxMemoryBytes } = facts;
  if (typeof usedMemoryBytes !== 'number' || typeof maxMemoryBytes !== 'number' || maxMemoryBytes === 0)
    return undefined;
  const share = usedMemoryBytes / maxMemoryBytes;
  const status = levelOf(share, serverMemory);
  return {
    status,
    message: `the server uses ${Math.round(share * 100)} % of the memory that it may have`,
    ...(status !== 'healthy' && {
      hint: "Raise the server's maxmemory, or let sessions expire: sessionTtlMs.",
    }),
    facts: { usedMemoryBytes, maxMemoryBytes },
  };
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}

/** Whether the journal's consumers keep up, and what need not be kept goes. */
export async function checkJournal(
  store: Store,
  { journalLag, journalOverdueMs }: Thresholds,
  { now, keepMs, signal }: { now: number; keepMs: number; signal: AbortSignal },
): Promise<CheckOutcome> {
  const { oldestAt, consumers } = await readJournalState(store, { most: mostCounted(journalLag), signal });
  const overdueMs = oldestAt === undefined ? 0 : Math.max(0, now - oldestAt - keepMs);
  const overdue = levelOf(overdueMs, journalOverdueMs);
  const behind = consumers.filter((one) => lagLevel(one, journalLag) !== 'healthy');
  const told = behind.map(lagText);
  if (overdue !== 'healthy') told.push(`is not trimmed: its oldest change is ${hours(overdueMs)} overdue`);
  const [slowest] = behind;
  const index = consumers.find(({ name }) => name === '$search');
  return {
    status: worst([overdue, ...behind.map((one) => lagLevel(one, journalLag))]),
    message: told.length > 0 ? told.join('; ') : 'all who read it keep up',
    ...hintFor(slowest, overdue),
    facts: {
      consumers: consumers.length,
      ...(index && { indexBehind: index.behind, indexBuilding: index.building === true }),
      ...(oldestAt !== undefined && { oldestAt, overdueMs }),
    },
  };
}

function lagLevel({ behind, expired }: ConsumerState, levels: Thresholds['journalLag']): HealthStatus {
  // What is lost to a consumer is not counted; the index begins anew by itself.
  return expired ? 'degraded' : levelOf(behind, levels);
}

function lagText({ name, behind, more, expired }: ConsumerState): string {
  const who = name === '$search' ? 'the index' : `consumer '${name}'`;
  if (expired) return `${who} stopped before what the journal still has`;
  return `${who} is ${behind}${more ? ' or more' : ''} changes behind`;
}

function hintFor(slowest: ConsumerState | undefined, overdue: HealthStatus): { hint?: string } {
  if (slowest?.name === '$search') return { hint: 'recover("catch-up-index") indexes what is missing.' };
  if (slowest) return { hint: `Start its subscriber, or events.forget('${slowest.name}') if it has none.` };
  if (overdue === 'healthy') return {};
  return {
    hint: 'Something has to trim it: an engine with maintenanceIntervalMs, as `holdfast serve` has it.',
  };
}

function hours(ms: number): string {
  return `${(ms / 3_600_000).toFixed(1)} h`;
}
