import { expect, test } from 'vitest';
import { onPostgres } from '../../scripts/servers/postgres.ts';
import { onRedis } from '../../scripts/servers/redis.ts';
import { createPlace, removePlace, serverUrl } from '../support/servers.ts';

test.for(['redis', 'valkey'] as const)(
  'a place on %s is a prefix, and is removed with its keys',
  async (name, context) => {
    const { port } = new URL(await serverUrl(name, context));
    const [mine, other] = [await createPlace(name), await createPlace(name)];
    const keyOf = (place: string) => `${new URL(place).searchParams.get('prefix')}:key`;
    await onRedis(Number(port), async (client) => {
      for (const place of [mine, other]) await client.set(keyOf(place), 'x');
      await removePlace(mine);
      expect(await client.exists(keyOf(mine))).toBe(0);
      expect(await client.exists(keyOf(other))).toBe(1);
      await removePlace(other);
    });
  },
);

test('a place on a cluster is removed from all of its nodes', async (context) => {
  const ports = (await serverUrl('redis-cluster', context)).match(/(?<=:)\d+/g)!.map(Number);
  expect(ports).toHaveLength(3);
  const place = await createPlace('redis-cluster');
  const prefix = /prefix=(.*)/.exec(place)![1]!;
  const keysOf = async (port: number) => (await onRedis(port, (client) => client.keys(`${prefix}*`))).length;
  for (let i = 0; i < 50; i++) {
    // A node refuses the keys of another's slots.
    await Promise.allSettled(
      ports.map((port) => onRedis(port, (client) => client.set(`${prefix}${i}`, 'x'))),
    );
  }
  const counts = await Promise.all(ports.map(keysOf));
  expect(counts.every((count) => count > 0 && count < 50)).toBe(true);
  expect(counts.reduce((sum, count) => sum + count)).toBe(50);
  await removePlace(place);
  expect(await Promise.all(ports.map(keysOf))).toEqual([0, 0, 0]);
});

test('a place on Postgres is a schema, and is removed with its tables', async (context) => {
  const url = await serverUrl('postgres', context);
  const place = await createPlace('postgres');
  const schema = new URL(place).searchParams.get('schema')!;
  const found = 'SELECT 1 FROM information_schema.schemata WHERE schema_name = $1';
  await onPostgres(url, async (client) => {
    await client.query(`CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.one (id int)`);
    expect((await client.query(found, [schema])).rowCount).toBe(1);
    await removePlace(place);
    expect((await client.query(found, [schema])).rowCount).toBe(0);
  });
});
