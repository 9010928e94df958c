/** Searching while an open transaction of the server keeps Postgres from telling its journal. */
import pg from 'pg';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { ContextEngine } from '../../../src/index.ts';
import { createPlace, removePlace, serverUrl } from '../../support/servers.ts';

/** An engine on a Postgres server, and what begins and ends another program's transaction there. */
async function onHeldServer() {
  const url = await createPlace('postgres');
  const open = () =>
    ContextEngine.open(url, { maintenanceIntervalMs: 0, compaction: { autoCompact: false } });
  const engine = await open();
  const client = new pg.Client({ connectionString: url.replace(/\?.*/, '') });
  await client.connect();
  onTestFinished(async () => {
    await client.end();
    await engine.close();
    await removePlace(url);
  });
  const hold = () => client.query('BEGIN; SELECT pg_current_xact_id()');
  return { engine, open, hold, letGo: () => client.query('ROLLBACK') };
}

const say = (content: string) => ({ role: 'user' as const, content });

/** The hits that have the word itself, and not only stand beside one that does. */
async function found(engine: ContextEngine, query: string): Promise<unknown[]> {
  const { hits, index } = await engine.messages.search(query, { userId: 'u' });
  expect(index).toEqual({ complete: true, behind: 0 });
  const told = hits.map(({ sessionId, message }) => `${sessionId}: ${message.content}`);
  return told.filter((hit) => hit.includes(query)).sort();
}

describe('while the journal is held back', () => {
  beforeEach(async (context) => void (await serverUrl('postgres', context)));

  test('a search of all of a user finds what was just written and edited', async () => {
    const { engine, open, hold, letGo } = await onHeldServer();
    for (const id of ['a', 'b']) await engine.sessions.create({ id, userId: 'u' });
    const { seq } = await engine.messages.append('a', say('an old pear'));
    expect(await found(engine, 'pear')).toEqual(['a: an old pear']);
    await hold();
    await engine.messages.edit('a', `@${seq}`, { content: 'an old quince' });
    await engine.messages.append('a', say('a new apple'));
    await engine.messages.append('b', say('another apple'));
    expect(await found(engine, 'apple')).toEqual(['a: a new apple', 'b: another apple']);
    expect(await found(engine, 'quince')).toEqual(['a: an old quince']);
    expect(await found(engine, 'pear')).toEqual([]);
    // Another process has noted nothing of it.
    const other = await open();
    await other.sessions.create({ id: 'c', userId: 'u' });
    await other.messages.append('c', say('a third apple'));
    const apples = ['a: a new apple', 'b: another apple', 'c: a third apple'];
    expect(await found(other, 'apple')).toEqual(apples);
    await other.close();
    expect(await found(engine, 'apple')).toEqual(apples);
    await letGo();
    await engine.messages.append('b', say('the last apple'));
    expect(await found(engine, 'apple')).toEqual([...apples, 'b: the last apple'].sort());
  });

  test('a search of memories finds what was just remembered, and nothing that was deleted', async () => {
    const { engine, hold } = await onHeldServer();
    const memories = async (query: string) => {
      const { hits, index } = await engine.memory.search(query, { userId: 'u' });
      expect(index).toEqual({ complete: true, behind: 0 });
      return hits.map(({ memory }) => memory.content);
    };
    const old = await engine.memory.add({ userId: 'u', content: 'likes the old pier' });
    expect(await memories('pier')).toEqual(['likes the old pier']);
    await hold();
    await engine.memory.add({ userId: 'u', content: 'swims at the new pier' });
    await engine.memory.delete(old.id, { userId: 'u' });
    expect(await memories('pier')).toEqual(['swims at the new pier']);
  });
});
