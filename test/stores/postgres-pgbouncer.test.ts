import { spawn } from 'node:child_process';
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { describe, expect, it, type TestContext } from 'vitest';
import { findServer } from '../../scripts/servers/find-server.ts';
import { freePort } from '../../scripts/servers/free-port.ts';
import { PostgresStore } from '../../src/stores/postgres/index.ts';
import { append, commit, follow, logValues, partition, times } from '../../src/testing/words.ts';
import { createPlace, removePlace, serverUrl } from '../support/servers.ts';

/** The ids of `nobody`, as which the pooler runs where the tests run as root: it refuses to be that. */
const NOBODY = 65_534;

/** PgBouncer with two connections that are shared transaction by transaction. */
async function startPooler(server: string, context: TestContext): Promise<AsyncDisposable & { url: string }> {
  const { path: program } = await findServer('pgbouncer').catch((error: Error) =>
    context.skip(`needs pgbouncer: ${error.message}`),
  );
  const { hostname, port: serverPort } = new URL(server);
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-pgbouncer-'));
  const users = join(folder, 'users.txt');
  const config = join(folder, 'pgbouncer.ini');
  writeFileSync(users, '"postgres" ""\n');
  writeFileSync(
    config,
    `[databases]
postgres = host=${hostname} port=${serverPort} dbname=postgres user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
auth_file = ${users}
pool_mode = transaction
default_pool_size = 2
`,
  );
  const root = process.getuid?.() === 0;
  chmodSync(folder, 0o755);
  if (root) chownSync(folder, NOBODY, NOBODY);
  const child = spawn(program, ['-q', config], {
    stdio: 'ignore',
    ...(root && { uid: NOBODY, gid: NOBODY }),
  });
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  await expect
    .poll(async () => {
      const client = new pg.Client({ connectionString: url });
      client.on('error', () => {});
      return client
        .connect()
        .then(() => client.end())
        .then(
          () => true,
          () => false,
        );
    })
    .toBe(true);
  return {
    url,
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

// It may have to be installed first.
describe('a postgres store behind PgBouncer in transaction mode', { timeout: 300_000 }, () => {
  for (const listen of ['auto', 'directly'] as const) {
    it(`commits, reads and hears of others' commits, listening ${listen}`, async (context) => {
      await serverUrl('postgres', context);
      const place = await createPlace('postgres');
      const direct = place.replace(/\?.*/, '');
      const schema = new URL(place).searchParams.get('schema')!;
      await using pooler = await startPooler(direct, context);
      const options = { schema, durability: 'normal', listen: listen === 'auto' ? 'auto' : direct } as const;
      const [store, other] = await Promise.all([
        PostgresStore.open(pooler.url, options),
        PostgresStore.open(pooler.url, options),
      ]);
      const { cursor } = await store.readChanges('newest', 1);
      const woken = store.waitForChanges(cursor);
      if (listen !== 'auto') {
        await expect.poll(async () => (await store.health()).facts.wokenBy).toBe('notifications');
      }
      const following = follow(store, 'oldest', (changes) => changes.length >= 200, 10);
      await Promise.all(
        times(200, (i) => commit(i % 2 ? store : other, partition(`p${i % 8}`), append([i]))),
      );
      expect((await following).changes.length).toBe(200);
      await woken;
      const values = await Promise.all(times(8, (i) => logValues(store, partition(`p${i}`))));
      expect(values.flat().length).toBe(200);
      await Promise.all([store.close(), other.close()]);
      await removePlace(place);
    });
  }
});
