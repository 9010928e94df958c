import { describe, expect, test } from 'vitest';
import { ContextEngine } from '../src/index.ts';
import { checkFallbackUrl, checkStoreUrl, openStore, storeFileOf } from '../src/open-store.ts';

describe('the URL of a store', () => {
  test.each([
    'memory:',
    'redis://localhost',
    'rediss://user:secret@host:6380/2',
    'redis-cluster://a:7000,b:7001',
    'postgres://localhost/holdfast',
    'postgresql:///holdfast?host=/var/run/postgresql',
  ])('%s leads somewhere', (url) => {
    expect(() => checkStoreUrl(url)).not.toThrow();
    expect(storeFileOf(url)).toBeUndefined();
  });

  test.each([
    ['file:./a.db', './a.db'],
    ['file:/data/a b.db', '/data/a b.db'],
    ['file:///data/a%20b.db', '/data/a b.db'],
    ['file:100%.db', '100%.db'],
  ])('%s leads to a file', (url, path) => {
    expect(storeFileOf(url)).toBe(path);
  });

  test.each([
    'file:',
    'file://host/a',
    'file:///%E0%A4%A',
    'file:a\0b',
    'flie:./x',
    'oracle://u:secret@h',
    'redis://',
    'redis:secret',
    'postgres:secret',
    'memory:secret',
    './x.db',
  ])('%j does not, and the error says no more than its scheme', (url) => {
    expect(() => checkStoreUrl(url)).toThrow(expect.objectContaining({ code: 'config' }));
    expect(() => checkStoreUrl(url)).not.toThrow(/secret/);
  });

  test('that is nearly one has the right one in the hint', () => {
    const hint = (url: string) => expect.objectContaining({ hint: url });
    expect(() => checkStoreUrl('reddis://localhost')).toThrow(hint('Did you mean redis://?'));
    expect(() => checkStoreUrl('postgress://localhost')).toThrow(hint('Did you mean postgres://?'));
    expect(() => checkStoreUrl('flie:./x')).toThrow(hint('Did you mean file:?'));
  });
});

describe('what a store is opened with', () => {
  test.each(['memory:', 'file:./never-made.db'])('%s has no replicas to wait for', async (url) => {
    const opening = openStore(url, { durability: 'replicated' });
    await expect(opening).rejects.toMatchObject({
      code: 'config',
      message: expect.stringMatching(/durability: replicated is not/),
    });
  });

  test('is checked by name and value before anything is opened', async () => {
    const options = { durability: 'ful', lockTimeout: 1, timeoutMs: 0 } as object;
    const problems = [
      { path: 'lockTimeout', message: 'is unknown, did you mean lockTimeoutMs?' },
      { path: 'durability', message: 'expected one of normal, full, replicated; did you mean full?' },
      { path: 'timeoutMs', message: 'must be at least 1' },
    ];
    for (const open of [openStore, (url: string, given: object) => ContextEngine.open(url, given)]) {
      const failing = open('redis://localhost:1', options);
      const issues = expect.arrayContaining(problems);
      await expect(failing).rejects.toMatchObject({ code: 'invalid-input', issues });
    }
  });

  test('a store that is away opens with its fallback, and says so', async () => {
    const url = 'redis://user:secret@127.0.0.1:1';
    await expect(ContextEngine.open(url, { timeoutMs: 200 })).rejects.toMatchObject({
      code: 'store-unavailable',
    });
    await using engine = await ContextEngine.open(url, { timeoutMs: 200, fallback: 'memory:' });
    const { problems } = await engine.storeHealth();
    expect(problems.join()).toMatch(/degraded|away/);
    expect(problems.join()).not.toContain('secret');
  });

  test('as fallback is not the store itself', async () => {
    const opening = openStore('file:./never-made.db', { fallback: 'file:./never-made.db' });
    await expect(opening).rejects.toThrow('fallback: is the store itself');
  });

  test('as fallback needs no server', async () => {
    for (const url of ['none', 'memory:', 'file:./spool.db']) checkFallbackUrl(url);
    for (const fallback of ['redis://localhost', 'postgres://u:secret@h/db']) {
      const opening = openStore('memory:', { fallback });
      await expect(opening).rejects.toMatchObject({ code: 'config' });
      await expect(opening).rejects.toThrow(/expected none, memory: or file:PATH$/);
    }
  });
});
