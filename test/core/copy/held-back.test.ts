/** Copies while an open transaction of the server keeps Postgres from telling its journal. */
import pg from 'pg';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { copyStore } from '../../../src/core/copy/copy.ts';
import type { Operation, Partition, Store } from '../../../src/core/store.ts';
import { openStore } from '../../../src/index.ts';
import { createPlace, removePlace, serverUrl } from '../../support/servers.ts';
import { everything } from './histories.ts';

/** A store on a Postgres server, and what begins and ends another program's transaction there. */
async function onHeldServer() {
  const url = await createPlace('postgres');
  const store = await openStore(url);
  const client = new pg.Client({ connectionString: url.replace(/\?.*/, '') });
  await client.connect();
  onTestFinished(async () => {
    await client.end();
    await store.close();
    await removePlace(url);
  });
  const hold = () => client.query('BEGIN; SELECT pg_current_xact_id()');
  return { store, hold, letGo: () => client.query('ROLLBACK') };
}

async function memory(): Promise<Store> {
  const store = await openStore('memory:');
  onTestFinished(() => store.close());
  return store;
}

/** A store that does something before it lists its partitions for the first time. */
function beforeListing(store: Store, act: () => Promise<void>): Store {
  let acting: Promise<void> | undefined;
  return new Proxy(store, {
    get(target, name: keyof Store) {
      const member = target[name];
      if (name !== 'queryIndex') return typeof member === 'function' ? member.bind(target) : member;
      return async (...range: Parameters<Store['queryIndex']>) => {
        acting ??= act();
        await acting;
        return store.queryIndex(...range);
      };
    },
  });
}

const partition = (id: string): Partition => ({ tenant: 'a', type: 'session', id });
const commit = (store: Store, id: string, ...operations: Operation[]) =>
  store.commit({ partition: partition(id), operations });
const put = (id: string, value: string): Operation => ({ op: 'put', kind: 'note', id, value });
const append = (value: string): Operation => ({ op: 'append', log: 'log', entries: [{ value }] });

describe('while the journal is held back', () => {
  beforeEach(async (context) => void (await serverUrl('postgres', context)));

  it('a copy brings what was written before it ends', async () => {
    const { store: from, hold, letGo } = await onHeldServer();
    const to = await memory();
    for (const id of ['a', 'b', 'c']) await commit(from, id, put('x', '1'), append('1'));
    await copyStore(from, to);
    await hold();
    await commit(from, 'a', put('x', '2'), append('2'));
    await commit(from, 'b', { op: 'drop' });
    await commit(from, 'b', append('3'));
    await commit(from, 'c', { op: 'drop' });
    await commit(from, 'd', append('4'), { op: 'expire', at: 4e12 });
    const first = await copyStore(from, to, { verify: true });
    expect(first.mismatches).toEqual([]);
    expect(first.followed).toBeGreaterThanOrEqual(5);
    expect(await everything(to)).toEqual(await everything(from));
    await commit(from, 'a', append('5'));
    await letGo();
    // What was brought early comes again in its place, and changes nothing.
    expect(await copyStore(from, to, { verify: true })).toMatchObject({ resumed: true, mismatches: [] });
    expect(await everything(to)).toEqual(await everything(from));
  });

  it.each([
    ['is still held back', false],
    ['is told in its place by then', true],
  ])(
    'what is written while it is verified is followed, and what was told before, once, if it %s',
    async (_, isLetGo) => {
      const { store: from, hold, letGo } = await onHeldServer();
      const to = await memory();
      await commit(from, 'a', append('1'));
      await copyStore(from, to);
      await hold();
      await commit(from, 'a', append('2'));
      const source = beforeListing(from, async () => {
        if (isLetGo) await letGo();
        await commit(from, 'b', append('3'));
      });
      const { mismatches, followed } = await copyStore(source, to, { verify: true });
      // The third one is the source's identity.
      expect({ mismatches, followed }).toEqual({ mismatches: [], followed: 3 });
      expect(await everything(to)).toEqual(await everything(from));
    },
  );

  it('what a copy wrote itself is no reason to refuse to go on with it', async () => {
    const { store: to, hold, letGo } = await onHeldServer();
    const from = await memory();
    await commit(from, 'a', append('1'));
    await hold();
    await copyStore(from, to);
    await commit(from, 'a', append('2'));
    await copyStore(from, to);
    await letGo();
    await commit(from, 'a', append('3'));
    expect(await copyStore(from, to, { verify: true })).toMatchObject({ resumed: true, mismatches: [] });
  });

  it('a target that was written to since is refused', async () => {
    const { store: to, hold } = await onHeldServer();
    const from = await memory();
    await commit(from, 'a', append('1'));
    await copyStore(from, to);
    await hold();
    await commit(to, 'a', put('theirs', '1'));
    await expect(copyStore(from, to)).rejects.toThrow('was written to since it was copied');
  });
});
