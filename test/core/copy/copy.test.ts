import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { copyStore } from '../../../src/core/copy/copy.ts';
import type { Batch, Operation, Partition, Store } from '../../../src/core/store.ts';
import { openStore } from '../../../src/index.ts';
import { watched } from '../../support/stores.ts';
import { everything, history, live } from './histories.ts';

const p: Partition = { tenant: 'a', type: 'session', id: 'p' };
const put = (id: string, value: unknown = 1, more = {}): Operation => ({
  op: 'put',
  kind: 'note',
  id,
  value: JSON.stringify(value),
  ...more,
});
const append = (...values: unknown[]): Operation => ({
  op: 'append',
  log: 'log',
  entries: values.map((value) => ({ value: JSON.stringify(value) })),
});
const commit = (store: Store, ...operations: Operation[]) => store.commit({ partition: p, operations });

async function memory(): Promise<Store> {
  const store = await openStore('memory:');
  onTestFinished(() => store.close());
  return store;
}

async function file(): Promise<Store> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-'));
  const store = await openStore(`file:${join(folder, 'store.db')}`, { durability: 'normal' });
  onTestFinished(async () => {
    await store.close();
    await rm(folder, { recursive: true });
  });
  return store;
}

/** Copies with the process dying before the n-th commit to the target, then again to the end. */
async function cutOffAndAgain(from: Store, to: Store, commits: number): Promise<void> {
  let left = commits;
  const dying = watched(to, () => left-- <= 0).store;
  await copyStore(from, dying).catch((error: unknown) => {
    if (!/cut off/.test(String(error))) throw error;
  });
}

describe('a copy', () => {
  it('holds what the source holds, from memory to a file and back, whatever was done before', async () => {
    await fc.assert(
      fc.asyncProperty(history, async (commits) => {
        const [source, between, target] = [await memory(), await file(), await memory()];
        await live(source, commits);
        const first = await copyStore(source, between, { verify: true });
        const second = await copyStore(between, target, { verify: true });
        expect([...first.mismatches, ...second.mismatches]).toEqual([]);
        const expected = await everything(source);
        expect(await everything(between)).toEqual(expected);
        expect(await everything(target)).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  it('that was cut off anywhere goes on, and follows what was done meanwhile', async () => {
    await fc.assert(
      fc.asyncProperty(history, history, fc.nat(12), async (before, meanwhile, commits) => {
        const [source, target] = [await memory(), await memory()];
        await live(source, before);
        await cutOffAndAgain(source, target, commits);
        await live(source, meanwhile);
        const { mismatches } = await copyStore(source, target, { verify: true });
        expect(mismatches).toEqual([]);
        expect(await everything(target)).toEqual(await everything(source));
      }),
      { numRuns: 300 },
    );
  });

  it('that was cut off again and again gets there', async () => {
    await fc.assert(
      fc.asyncProperty(history, history, history, async (one, two, three) => {
        const [source, target] = [await memory(), await memory()];
        for (const [i, commits] of [one, two, three].entries()) {
          await live(source, commits);
          await cutOffAndAgain(source, target, 3 + i);
        }
        await copyStore(source, target);
        expect(await everything(target)).toEqual(await everything(source));
      }),
      { numRuns: 150 },
    );
  });

  it('that is done goes on with what was done since', async () => {
    await fc.assert(
      fc.asyncProperty(history, history, async (before, after) => {
        const [source, target] = [await memory(), await memory()];
        await live(source, before);
        await copyStore(source, target);
        await live(source, after);
        const { resumed } = await copyStore(source, target);
        expect(resumed).toBe(true);
        expect(await everything(target)).toEqual(await everything(source));
      }),
      { numRuns: 150 },
    );
  });

  it('has versions that go on beyond those of the source, also of what was deleted', async () => {
    const [source, target] = [await memory(), await file()];
    for (let i = 0; i < 50; i++) await commit(source, put('x', i));
    const { results } = await commit(source, put('gone'));
    await commit(source, { op: 'delete', kind: 'note', id: 'gone' });
    await copyStore(source, target);
    const next = await commit(target, put('x'), put('gone'));
    for (const { version } of next.results) expect(version).toBeGreaterThan(results[0]!.version!);
  });

  it('takes logs and values of all sizes', async () => {
    const [source, target] = [await file(), await memory()];
    await commit(source, append(...Array.from({ length: 5000 }, (_, i) => i)));
    await commit(source, { op: 'truncate', log: 'log', before: 10, after: 4900 });
    await commit(source, append('end'));
    for (let i = 0; i < 8; i++) await commit(source, put(`large-${i}`, 'x'.repeat(900_000)));
    await commit(source, { op: 'append', log: 'empty', entries: [{ value: '1' }, { value: '2' }] });
    await commit(source, { op: 'truncate', log: 'empty', after: 0 });
    const { asked, store } = watched(target);
    const { mismatches, entries, records, bytes } = await copyStore(source, store, { verify: true });
    expect({ mismatches, entries, records }).toEqual({ mismatches: [], entries: 4892, records: 8 });
    expect(bytes).toBeGreaterThan(8 * 900_000);
    const sizes = asked.commits.map(({ operations }) => JSON.stringify(operations).length);
    expect(Math.max(...sizes)).toBeLessThan(4 * 1024 * 1024);
    const { results } = await commit(target, append('next'), {
      ...append('next'),
      log: 'empty',
    } as Operation);
    expect(results.map(({ seqs }) => seqs)).toEqual([[5002], [3]]);
  });

  it('tells how far it is, and stops when it is told to', async () => {
    const [source, target] = [await memory(), await memory()];
    for (let i = 0; i < 600; i++)
      await source.commit({ partition: { ...p, id: `s${i}` }, operations: [put('x'), append(1, 2)] });
    const stop = new AbortController();
    const told: number[] = [];
    const copying = copyStore(source, target, {
      signal: stop.signal,
      onProgress: ({ partitions, totalPartitions }) => {
        told.push(partitions / totalPartitions);
        if (partitions === 300) stop.abort(new Error('enough'));
      },
    });
    await expect(copying).rejects.toThrow('enough');
    const { partitions, entries, resumed } = await copyStore(source, target, {
      onProgress: ({ partitions: done, totalPartitions }) => told.push(done / totalPartitions),
    });
    expect({ partitions, entries, resumed }).toEqual({ partitions: 601, entries: 1200, resumed: true });
    expect(told.at(-1)).toBe(1);
    expect(await everything(target)).toEqual(await everything(source));
  });
});

describe('the target of a copy', () => {
  it('is refused where it holds data behind whatever stores keep for themselves', async () => {
    const [from, to] = [await memory(), await memory()];
    for (let i = 0; i < 120; i++) {
      const partition = { tenant: '$system', type: 'system', id: `s${i}` };
      await to.commit({ partition, operations: [put('a')] });
    }
    await commit(to, put('precious'));
    await expect(copyStore(from, to)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('is left untouched where it holds anything else', async () => {
    const [source, target] = [await memory(), await memory()];
    await commit(source, put('x'));
    await commit(target, put('own'));
    const { cursor } = await target.readChanges('newest', 0);
    await expect(copyStore(source, target)).rejects.toMatchObject({ code: 'conflict' });
    expect((await target.readChanges(cursor, 10)).changes).toEqual([]);
  });

  it('is not the source, and not a copy of another store', async () => {
    const [source, other, target] = [await memory(), await memory(), await memory()];
    await expect(copyStore(source, source)).rejects.toThrow('is the store itself');
    await copyStore(other, target);
    await expect(copyStore(source, target)).rejects.toThrow('holds a copy of another store');
    await expect(copyStore(target, target)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('is its own once it was written to', async () => {
    const [source, target] = [await memory(), await memory()];
    await commit(source, put('x'));
    await copyStore(source, target);
    await commit(target, put('x', 2));
    await expect(copyStore(source, target)).rejects.toThrow('was written to since');
    await target.trimChanges((await target.readChanges('newest', 0)).cursor);
    await expect(copyStore(source, target)).rejects.toThrow('was in use since');
  });

  it('is written by one copy at a time: the one that began first ends', async () => {
    const [source, target] = [await memory(), await memory()];
    for (let i = 0; i < 600; i++)
      await source.commit({ partition: { ...p, id: `s${i}` }, operations: [put('x')] });
    let left = 300;
    const overtaken = new Proxy(target, {
      get(_, name: keyof Store) {
        const member = target[name] as () => unknown;
        if (name !== 'commit') return typeof member === 'function' ? member.bind(target) : member;
        return async (batch: Batch) => {
          if (--left === 0) await copyStore(source, target);
          return target.commit(batch);
        };
      },
    });
    const first = copyStore(source, overtaken);
    await expect(first).rejects.toThrow('is being written by another copy');
    expect(await everything(target)).toEqual(await everything(source));
  });

  it('gets no cursors of those who follow the journal, and can be copied itself', async () => {
    const [source, middle, target] = [await memory(), await memory(), await memory()];
    await commit(source, put('x'));
    const system: Partition = { tenant: '$system', type: 'system', id: 'engine' };
    const consumer: Operation = { op: 'put', kind: 'consumer', id: 'c', value: '{"cursor":"1"}' };
    await source.commit({ partition: system, operations: [consumer] });
    await copyStore(source, middle);
    expect((await middle.listRecords(system, 'consumer', { limit: 9 })).items).toEqual([]);
    await copyStore(middle, target);
    expect(await everything(target)).toEqual(await everything(source));
  });
});

describe('the source of a copy', () => {
  it('must know what was changed since the copy began', async () => {
    const [source, target] = [await memory(), await memory()];
    await commit(source, put('x'));
    await cutOffAndAgain(source, target, 1);
    await commit(source, put('y'));
    await source.trimChanges((await source.readChanges('newest', 0)).cursor);
    await expect(copyStore(source, target)).rejects.toThrow('has forgotten what was changed');
  });
});

describe('a copy that is verified', () => {
  it.each<[string, Partition, Operation]>([
    ['a record that differs', p, put('x', 2)],
    ['a record that is missing', p, { op: 'delete', kind: 'note', id: 'x' }],
    ['a record too many', p, put('z')],
    ['an entry that was rewritten', p, { op: 'rewrite', log: 'log', seq: 2, value: '"b"' }],
    ['an entry that is missing', p, { op: 'truncate', log: 'log', after: 2 }],
    ['another partition', { ...p, id: 'q' }, put('x')],
    ['another time of expiry', p, { op: 'expire', at: 78 }],
  ])('tells of %s', async (_what, partition, operation) => {
    const [source, target] = [await memory(), await memory()];
    await commit(source, put('x'), append('a', 'b', 'c'), { op: 'expire', at: 77 });
    let tampered = false;
    const { mismatches } = await copyStore(source, target, {
      verify: true,
      // Before the first partition was compared; ours, or the system's.
      onProgress: ({ phase }) => {
        if (phase === 'copying' && !tampered) tampered = true;
      },
    });
    expect(mismatches).toEqual([]);
    expect(tampered).toBe(true);
    const { verifyCopy } = await import('../../../src/core/copy/verify.ts');
    await target.commit({ partition, operations: [operation] });
    const { mismatches: found } = await verifyCopy(
      { from: source, to: target },
      { width: 1, signal: undefined, onProgress: () => {} },
    );
    expect(found.map((one) => one.partition)).toEqual([operation.op === 'expire' ? undefined : partition]);
  });
});
