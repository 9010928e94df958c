import pg from 'pg';
import { expect } from 'vitest';
import { startPostgres } from '../../scripts/servers/postgres.ts';
import { isHoldfastError } from '../../src/core/errors.ts';
import { PostgresStore } from '../../src/stores/postgres/index.ts';
import {
  add,
  append,
  commit,
  fails,
  logValues,
  partition,
  put,
  times,
  valueAt,
} from '../../src/testing/words.ts';
import { createPlace, needs, removePlace } from '../support/servers.ts';

const { describe, it } = needs('postgres');

async function inPlace(body: (place: { url: string; server: string; client: pg.Client }) => Promise<void>) {
  const url = await createPlace('postgres');
  const server = url.replace(/\?.*/, '');
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    await body({ url, server, client });
  } finally {
    await client.end();
    await removePlace(url);
  }
}

const schemaOf = (url: string) => new URL(url).searchParams.get('schema')!;

async function tablesOf(client: pg.Client, schema: string): Promise<number> {
  const { rows } = await client.query('SELECT count(*)::int AS n FROM pg_tables WHERE schemaname = $1', [
    schema,
  ]);
  return rows[0].n;
}

describe('a postgres store and its server', () => {
  it('makes its tables once, however many open an empty database at once', () =>
    inPlace(async ({ url }) => {
      const stores = await Promise.all(times(10, () => PostgresStore.open(url, { durability: 'normal' })));
      await Promise.all(stores.map((store, i) => commit(store, partition(), append([i]))));
      expect((await logValues(stores[0]!, partition())).length).toBe(10);
      await Promise.all(stores.map((store) => store.close()));
    }));

  it('tells in a dry run what a migration would do, and does none of it', () =>
    inPlace(async ({ url, client }) => {
      const steps = await PostgresStore.migrate(url, { dryRun: true });
      expect(steps.join('')).toContain('CREATE TABLE');
      expect(await tablesOf(client, schemaOf(url))).toBe(0);
      const error = await fails(PostgresStore.open(url, { migrate: false }), 'config');
      expect(error.hint).toContain('holdfast migrate');
      expect(await PostgresStore.migrate(url)).toEqual(steps);
      expect(await PostgresStore.migrate(url, { dryRun: true })).toEqual([]);
      await (await PostgresStore.open(url, { migrate: false })).close();
    }));

  it('refuses tables that a newer Holdfast made', () =>
    inPlace(async ({ url, client }) => {
      await PostgresStore.migrate(url);
      await client.query(`UPDATE ${schemaOf(url)}.meta SET schema_version = 99`);
      await fails(PostgresStore.open(url), 'store-newer-schema');
      await fails(PostgresStore.migrate(url, { dryRun: true }), 'store-newer-schema');
    }));

  it('lives in a schema of any name, and takes none of it for SQL', () =>
    inPlace(async ({ server, client }) => {
      const names = [
        'Hold Fast',
        'x"; DROP SCHEMA public CASCADE; --',
        "it's",
        '$body$',
        '$body$$body0$ {schema}',
        'back\\slash',
        '$$',
        '日本語',
        'select',
        'x'.repeat(63),
      ];
      for (const schema of names) {
        const store = await PostgresStore.open(server, { schema, durability: 'normal' });
        await commit(store, partition(), put('a', schema), append([schema]));
        expect(await valueAt(store, partition(), 'a')).toBe(schema);
        expect(await logValues(store, partition())).toEqual([schema]);
        await store.close();
        expect(await tablesOf(client, schema)).toBeGreaterThan(8);
        await client.query(`DROP SCHEMA ${client.escapeIdentifier(schema)} CASCADE`);
      }
      for (const schema of ['', 'x'.repeat(64), 'pg_mine', 'a\0b', 'information_schema']) {
        await fails(PostgresStore.open(server, { schema }), 'invalid-input');
      }
    }));

  it('acknowledges each append once and in order while its connections are cut again and again', () =>
    inPlace(async ({ url, client }) => {
      const store = await PostgresStore.open(`${url}&application_name=cut-${schemaOf(url)}`, {
        durability: 'normal',
      });
      let done = false;
      let answered = 0;
      const appends = times(200, async (i) => {
        const { results } = await commit(store, partition(`p${i % 4}`), append([i]));
        answered++;
        return { i, seq: results[0]!.seqs![0]! };
      });
      const cutting = (async () => {
        for (let cuts = 0; !done; cuts++) {
          await expect.poll(() => done || answered >= cuts * 40, { interval: 1 }).toBe(true);
          await client.query(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1`,
            [`cut-${schemaOf(url)}`],
          );
        }
      })();
      const more = times(20, async (n) => {
        for (let i = 0; i < 20; i++) {
          await commit(store, partition('slow'), append([`${n}.${i}`]));
          answered++;
        }
      });
      const acknowledged = await Promise.all(appends);
      await Promise.all(more);
      done = true;
      await cutting;
      for (let place = 0; place < 4; place++) {
        const own = acknowledged.filter(({ i }) => i % 4 === place).sort((a, b) => a.seq - b.seq);
        expect(own.map(({ seq }) => seq)).toEqual(times(50, (n) => n + 1));
        expect(await logValues(store, partition(`p${place}`))).toEqual(own.map(({ i }) => i));
      }
      const slow = (await logValues(store, partition('slow'))) as string[];
      expect(slow.length).toBe(400);
      for (let n = 0; n < 20; n++) {
        expect(slow.filter((one) => one.startsWith(`${n}.`))).toEqual(times(20, (i) => `${n}.${i}`));
      }
      await store.close();
    }));

  it('does a commit once, and gives the first answer, however often answers are lost on the way', () =>
    inPlace(async ({ url, server }) => {
      const pool = new pg.Pool({ connectionString: server });
      const schema = schemaOf(url);
      const sound = await PostgresStore.open(pool, { schema, durability: 'normal' });
      let lost = 0;
      const losing = new Proxy(pool, {
        get: (target, name) =>
          name === 'connect'
            ? async () => losingClient(await target.connect())
            : Reflect.get(target, name, target),
      });
      // What was asked is done, and every other answer is lost.
      const losingClient = (client: pg.PoolClient) => ({
        on: client.on.bind(client),
        removeListener: client.removeListener.bind(client),
        release: (destroy?: boolean) => client.release(destroy),
        async query(query: pg.QueryConfig) {
          const result = await client.query(query);
          if (!query.text.includes('_group(') || lost++ % 2 === 1) return result;
          throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
        },
      });
      const store = await PostgresStore.open(losing as unknown as pg.Pool, {
        schema,
        durability: 'normal',
        listen: false,
      });
      const receipts = [];
      for (let i = 0; i < 10; i++) receipts.push(await commit(store, partition(), append([i])));
      const counted = await Promise.all(times(5, () => commit(store, partition(), add('c', { n: 1 }))));
      expect(lost).toBeGreaterThan(20);
      expect(receipts.map(({ results }) => results[0]!.seqs![0])).toEqual(times(10, (i) => i + 1));
      expect(await logValues(sound, partition())).toEqual(times(10, (i) => i));
      expect(counted.map(({ results }) => results[0]!.counters!.n)).toEqual([1, 2, 3, 4, 5]);
      await Promise.all([store.close(), sound.close()]);
      await pool.end();
    }));

  it('gives up in time on a server that is not there, and shows no password', async () => {
    const url = 'postgres://me:hunter2@127.0.0.1:1/none';
    const error = await fails(PostgresStore.open(url, { timeoutMs: 200 }), 'store-unavailable');
    expect(JSON.stringify([error.toJSON(), String(error), String(error.cause)])).not.toContain('hunter2');
  });

  it('gives up in time on a commit that the server does not answer, and says that it may be done', () =>
    inPlace(async ({ url, client }) => {
      await PostgresStore.migrate(url);
      const store = await PostgresStore.open(url, { durability: 'normal', timeoutMs: 2000 });
      await commit(store, partition(), append([1]));
      await client.query('BEGIN');
      await client.query(`LOCK TABLE ${schemaOf(url)}.logs IN ACCESS EXCLUSIVE MODE`);
      const error = await fails(commit(store, partition(), append([2])), 'store-unavailable');
      expect(error.details?.inDoubt).toBe(true);
      await client.query('ROLLBACK');
      await commit(store, partition(), append([3]));
      const values = await logValues(store, partition());
      expect([values[0], values.at(-1)]).toEqual([1, 3]);
      await store.close();
    }));

  it('fails calls at once while the server is known to be away, and goes on when it is back', async () => {
    await using server = await startPostgres({ fsync: false });
    const store = await PostgresStore.open(server.url, { timeoutMs: 4000 });
    await commit(store, partition(), append([1]));
    await server.kill();
    await fails(commit(store, partition(), append([2])), 'store-unavailable');
    await expect
      .poll(() => fails(store.listLogs(partition()), 'store-unavailable').then(({ message }) => message))
      .toContain('a moment ago');
    expect(await store.health()).toMatchObject({ ok: false, problems: ['the server does not answer'] });
    await server.restart();
    await expect.poll(() => logValues(store, partition()).catch(() => [])).toContain(1);
    await commit(store, partition(), append([3]));
    expect((await store.health()).ok).toBe(true);
    await server.kill();
    await store.close();
  });

  it('sees what others commit while it waits, whatever kind of transaction is the default', () =>
    inPlace(async ({ server, url }) => {
      const pools = times(2, () => {
        return new pg.Pool({
          connectionString: server,
          options: '-c default_transaction_isolation=serializable',
        });
      });
      const schema = schemaOf(url);
      const stores = await Promise.all(pools.map((pool) => PostgresStore.open(pool, { schema })));
      await Promise.all(times(100, (i) => commit(stores[i % 2]!, partition(`p${i % 3}`), append([i]))));
      const counts = await Promise.all(times(3, (i) => logValues(stores[0]!, partition(`p${i}`))));
      expect(counts.flat().length).toBe(100);
      for (let i = 0; i < 20; i++) {
        const once = put(`r${i}`, i, { ifVersion: 'absent' });
        const all = await Promise.allSettled(stores.map((store) => commit(store, partition(), once)));
        const lost = all.filter(({ status }) => status === 'rejected');
        expect(lost).toMatchObject([{ reason: { code: 'conflict' } }]);
      }
      await Promise.all(stores.map((store) => store.close()));
      await Promise.all(pools.map((pool) => pool.end()));
    }));

  it('takes the longest names that there may be, all at once', () =>
    inPlace(async ({ url }) => {
      const store = await PostgresStore.open(url, { durability: 'normal' });
      // Not ones that could be packed: names that repeat themselves take less room in an index.
      const long = () => {
        return String.fromCharCode(...times(256, () => 0x4e00 + Math.floor(Math.random() * 20_000)));
      };
      const place = { tenant: long(), type: long(), id: long() };
      const [index, key, id] = [long(), long(), long()];
      const indexes = [{ index, key, order: 1 }];
      const batch = { id, partition: place, operations: [put(long(), 1, { kind: long(), indexes })] };
      const { cursor } = await store.commit(batch);
      expect(await store.commit(batch)).toMatchObject({ cursor, replayed: true });
      const { items } = await store.queryIndex({ tenant: place.tenant, index, key, limit: 10 });
      expect(items).toMatchObject([{ partition: place, id: batch.operations[0]!.id }]);
      await store.close();
    }));

  it('takes a pool that is there, and leaves it open', () =>
    inPlace(async ({ url, server }) => {
      const pool = new pg.Pool({ connectionString: server });
      const store = await PostgresStore.open(pool, { schema: schemaOf(url), durability: 'normal' });
      const { cursor } = await store.readChanges('newest', 1);
      const waiting = store.waitForChanges(cursor);
      await commit(store, partition(), put('a', 1));
      await waiting;
      await store.close();
      expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
      expect(pool.listenerCount('error')).toBe(0);
      await pool.end();
    }));

  it('refuses to be replicated where the server has no standby', () =>
    inPlace(async ({ url }) => {
      const error = await fails(PostgresStore.open(url, { durability: 'replicated' }), 'config');
      expect(error.hint).toContain('synchronous_standby_names');
    }));

  it('tells in health what the server does not keep safe', () =>
    inPlace(async ({ url }) => {
      const store = await PostgresStore.open(url);
      const { ok, problems, facts } = await store.health();
      expect(ok).toBe(true);
      expect(problems.join()).toContain('fsync');
      expect(facts.fsync).toBe(false);
      await store.close();
    }));

  it('refuses options that mean nothing, all at once', async () => {
    const wrong = { shema: 'x', maxConnections: 0, durability: 'fuIl', timeoutMs: -1, listen: 'http://x' };
    const error = await PostgresStore.open('postgres://x', wrong as object).catch((one: unknown) => one);
    if (!isHoldfastError(error)) throw error;
    expect(error.details?.issues).toHaveLength(5);
    await fails(PostgresStore.open('mysql://x'), 'config');
    const near = await fails(PostgresStore.open('postgres://x/y?schemas=z'), 'config');
    expect(near.message).toContain('did you mean schema');
    const bad = await fails(PostgresStore.open('postgres://me:hunter2@[bad'), 'config');
    expect(JSON.stringify([bad.toJSON(), String(bad.cause)])).not.toContain('hunter2');
  });
});
