import pg from 'pg';
import { expect } from 'vitest';
import { onPostgres, startPostgres } from '../../scripts/servers/postgres.ts';
import type { Change, Cursor } from '../../src/core/store.ts';
import { PostgresStore } from '../../src/stores/postgres/index.ts';
import type { PostgresPool } from '../../src/stores/postgres/pool.ts';
import { commit, fails, follow, partition, put, times, valueAt } from '../../src/testing/words.ts';
import { createPlace, needs, removePlace } from '../support/servers.ts';

const { describe, it } = needs('postgres');

/** A pool of one connection, in whose open transactions a store's calls run along. */
async function connectionOf(url: string): Promise<{ client: pg.Client; pool: PostgresPool }> {
  const client = new pg.Client({ connectionString: url.replace(/\?.*/, '') });
  await client.connect();
  const handle = {
    query: client.query.bind(client),
    on: () => {},
    removeListener: () => {},
    release: () => {},
  };
  const pool = {
    connect: async () => handle,
    end: async () => {},
    on: () => {},
    removeListener: () => {},
    totalCount: 1,
    idleCount: 0,
    waitingCount: 0,
  };
  return { client, pool: pool as unknown as PostgresPool };
}

async function inPlace(
  body: (place: { url: string; schema: string; store: PostgresStore }) => Promise<void>,
) {
  const url = await createPlace('postgres');
  const schema = new URL(url).searchParams.get('schema')!;
  const store = await PostgresStore.open(url, { durability: 'normal' });
  try {
    await body({ url, schema, store });
  } finally {
    await store.close();
    await removePlace(url);
  }
}

const idsOf = (changes: readonly Change[]) =>
  changes.map(({ operations: [first] }) => (first && 'id' in first ? first.id : '?'));

describe('the journal of the postgres store', () => {
  it('skips no commit that becomes visible after later ones, and tells none twice', () =>
    inPlace(async ({ url, schema, store }) => {
      const { client, pool } = await connectionOf(url);
      const late = await PostgresStore.open(pool, { schema, listen: false, durability: 'normal' });
      const { cursor } = await store.readChanges('newest', 1);
      await client.query('BEGIN');
      await commit(late, partition('late'), put('late', 1));
      for (const i of times(5, (n) => n)) await commit(store, partition(`p${i}`), put(`r${i}`, i));
      // The late one has its place before theirs: nobody may read past it.
      expect(idsOf((await store.readChanges(cursor, 100)).changes)).toEqual([]);
      const newest = await store.readChanges('newest', 1);
      const following = follow(store, cursor, (changes) => changes.length >= 6, 2);
      await client.query('COMMIT');
      expect(idsOf((await following).changes)).toEqual(['late', 'r0', 'r1', 'r2', 'r3', 'r4']);
      expect(idsOf((await store.readChanges(newest.cursor, 100)).changes)).toContain('late');
      await late.close();
      await client.end();
    }));

  it('goes on behind a transaction of another program that holds it back, and says so in health', () =>
    inPlace(async ({ url, store }) => {
      const { client } = await connectionOf(url);
      const { cursor } = await store.readChanges('newest', 1);
      await client.query('BEGIN');
      await client.query('SELECT pg_current_xact_id()');
      const receipts = await Promise.all(
        times(10, (i) => commit(store, partition(`p${i % 3}`), put(`r${i}`, i))),
      );
      expect((await store.readChanges(cursor, 100)).changes).toEqual([]);
      // A receipt's cursor is ahead of what can be read: what comes after it is told later, what comes before is not.
      const last = receipts.at(-1)!.cursor;
      expect((await store.readChanges(last, 100)).changes).toEqual([]);
      expect((await store.health()).facts.changesHeldBack).toBeGreaterThan(0);
      await commit(store, partition(), put('after', 1));
      const [all, after] = [
        follow(store, cursor, (one) => one.length >= 11),
        follow(store, last, (one) => one.length > 0),
      ];
      await client.query('ROLLBACK');
      expect(idsOf((await all).changes).sort()).toEqual([...times(10, (i) => `r${i}`), 'after'].sort());
      expect(idsOf((await after).changes)).toContain('after');
      // Others use the server as well.
      await expect.poll(async () => (await store.health()).facts.changesHeldBack).toBe(0);
      await client.end();
    }));

  it('tells ahead what is held back, to who asks for that, page by page', () =>
    inPlace(async ({ url, store }) => {
      const { client } = await connectionOf(url);
      const { cursor } = await commit(store, partition(), put('before', 1));
      await follow(store, cursor, () => true);
      await client.query('BEGIN');
      await client.query('SELECT pg_current_xact_id()');
      const { cursor: end } = await follow(store, 'oldest', (changes) => changes.length > 0);
      for (const i of times(5, (n) => n)) await commit(store, partition(), put(`r${i}`, i));
      const page = await store.readChanges(end, 100);
      expect(page.changes).toEqual([]);
      const first = await store.readChanges(page.ahead!, 3);
      const rest = await store.readChanges(first.cursor, 3);
      expect(idsOf([...first.changes, ...rest.changes])).toEqual(['r0', 'r1', 'r2', 'r3', 'r4']);
      expect(rest.ahead).toBeUndefined();
      // It is a place to read from, and nothing else.
      await fails(store.waitForChanges(page.ahead!), 'invalid-input');
      await fails(store.trimChanges(page.ahead!), 'invalid-input');
      await fails(store.readChanges(`~${page.ahead}`, 1), 'invalid-input');
      await client.query('ROLLBACK');
      const told = await follow(store, end, (changes) => changes.length >= 5);
      expect(told.changes).toEqual([...first.changes, ...rest.changes]);
      await client.end();
    }));

  it('tells the problem and who it is when it has been held back for long', () =>
    inPlace(async ({ url, schema }) => {
      const { client } = await connectionOf(url);
      let now = Date.now();
      const clock = { now: () => now };
      await using clean = new AsyncDisposableStack();
      const store = await PostgresStore.open(url, { clock, schema, durability: 'normal' });
      clean.defer(() => store.close());
      await client.query('BEGIN');
      const { rows } = await client.query<{ pid: number }>(
        'SELECT pg_current_xact_id(), pg_backend_pid() AS pid',
      );
      await commit(store, partition(), put('a', 1));
      now += 60_000;
      const { ok, problems } = await store.health();
      expect(ok).toBe(false);
      expect(problems.join()).toContain(`process ${rows[0]!.pid}`);
      await client.end();
    }));

  it('goes on after its tables were moved to a server that has counted fewer transactions', () =>
    inPlace(async ({ url, schema, store }) => {
      const first = await commit(store, partition(), put('before', 1));
      const { client } = await connectionOf(url);
      // As a restored dump looks: positions that this server's transactions have not come to.
      await client.query(`UPDATE ${schema}.journal SET position = position + 1000000000`);
      await client.query(`UPDATE ${schema}.meta SET trimmed_position = 999999999`);
      await client.end();
      const moved = await PostgresStore.open(url, { durability: 'normal' });
      const receipt = await commit(moved, partition(), put('after', 1));
      expect(receipt.results[0]!.version).toBeGreaterThan(first.results[0]!.version!);
      const { changes } = await follow(moved, 'oldest', (all) => all.length >= 2);
      expect(idsOf(changes)).toEqual(['before', 'after']);
      await moved.close();
    }));

  it('begins at the last commit for who asks for the newest, and trims no further', () =>
    inPlace(async ({ url, store }) => {
      const { cursor } = await commit(store, partition(), put('a', 1));
      const { client } = await connectionOf(url);
      // Ids that are used and rolled back leave no trace: a crash gives them out again.
      for (let i = 0; i < 3; i++) {
        await client.query('BEGIN');
        await client.query('SELECT pg_current_xact_id()');
        await client.query('ROLLBACK');
      }
      await client.end();
      expect((await store.readChanges('newest', 1)).cursor).toBe(cursor);
      const unchanged = await commit(store, partition(), { op: 'delete', kind: 'k', id: 'none' });
      expect(unchanged.cursor).not.toBe(cursor);
      await store.trimChanges(unchanged.cursor);
      expect(await store.readChanges('newest', 1)).toEqual({ changes: [], cursor });
      expect((await store.readChanges('oldest', 1)).cursor).toBe(cursor);
    }));

  it('tells who heard of commits that the server has lost, and gives their places to no others', async () => {
    await using server = await startPostgres({ settings: { wal_writer_delay: '10s', autovacuum: 'off' } });
    const store = await PostgresStore.open(server.url, { durability: 'normal' });
    await commit(store, partition(), put('kept', 1));
    await onPostgres(server.url, (client) => client.query('CHECKPOINT'));
    const kept = await commit(store, partition('sure'), put('kept', 2));
    await onPostgres(server.url, (client) => client.query('CHECKPOINT'));
    let last: { cursor: Cursor } = kept;
    do {
      for (let i = 0; i < 20; i++) await commit(store, partition(), put(`lost${i}`, i));
      last = await follow(store, last.cursor, (changes) => changes.length >= 20);
      await server.kill();
      await server.restart();
      // Every ten seconds the server writes what it has: where that was just now, nothing was lost.
    } while ((await valueAt(store, partition(), 'lost19')) !== undefined);
    await fails(store.readChanges(last.cursor, 100), 'cursor-expired');
    for (let i = 0; i < 30; i++) await commit(store, partition(), put(`new${i}`, i));
    await fails(store.readChanges(last.cursor, 100), 'cursor-expired');
    await fails(store.trimChanges(last.cursor), 'cursor-expired');
    const { changes } = await follow(store, kept.cursor, (all) => idsOf(all).includes('new29'));
    expect(idsOf(changes).filter((id) => id.startsWith('new'))).toEqual(times(30, (i) => `new${i}`));
    await store.close();
  });
});
