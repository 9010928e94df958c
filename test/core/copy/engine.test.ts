import { expect, it } from 'vitest';
import type { ContextEngine } from '../../../src/index.ts';
import { inMemory, newSession, onEveryStore } from '../../support/engines.ts';

const user = (content: string) => ({ role: 'user' as const, content });

onEveryStore('engine.copyTo', (open) => {
  it('gives another engine all there is: of all tenants, with seqs, versions and times of expiry', async () => {
    const engine = await open();
    const target = await inMemory();
    await engine.sessions.create({ id: 's', userId: 'u', metadata: { a: 1 }, ttlMs: 60_000 });
    await engine.messages.append('s', ['one', 'two', 'three'].map(user));
    await engine.messages.pop('s');
    await engine.messages.append('s', user('four'));
    await engine.state.set('s', 'plan', { days: 3 });
    await engine.sessions.update('s', { incrementRequests: 5 });
    await engine.channels.open('s', { id: 'c', type: 'user_to_agent', participants: participants() });
    await newSession(engine.tenant('other'), 'theirs');
    await engine.messages.settled();
    const told: string[] = [];
    const { mismatches, verified } = await engine.copyTo(target, {
      verify: true,
      onProgress: ({ phase }) => told.push(phase),
    });
    expect({ mismatches, verified }).toEqual({ mismatches: [], verified: true });
    expect(new Set(told)).toEqual(new Set(['copying', 'verifying']));
    for (const read of [
      (one: ContextEngine) => one.sessions.get('s'),
      (one: ContextEngine) => one.messages.list('s'),
      (one: ContextEngine) => one.state.get('s'),
      (one: ContextEngine) => one.channels.list('s'),
      (one: ContextEngine) => one.tenant('other').sessions.list(),
    ])
      expect(await read(target)).toEqual(await read(engine));
    await target.sessions.update('s', { incrementRequests: 1 });
    expect(await target.sessions.get('s')).toMatchObject({ requests: 6 });
    expect(await target.messages.append('s', user('five'))).toMatchObject({ seq: 5 });
  });

  it('follows sessions that are in use, to the last word', async () => {
    const engine = await open();
    const target = await inMemory();
    for (const id of ['a', 'b', 'c']) await newSession(engine, id);
    await engine.messages.append(
      'a',
      Array.from({ length: 3000 }, (_, i) => user(`before ${i}`)),
    );
    let following = false;
    const work = async (id: string) => {
      for (let i = 0; !following || i < 50; i++) {
        await engine.messages.append(id, [user(`${i}`), user('more')]);
        if (i % 5 === 0) await engine.state.set(id, `k${i % 3}`, i);
        if (i % 7 === 0) await engine.messages.edit(id, '@1', { content: `edited ${i}` }).catch(() => {});
        if (i % 11 === 0) await engine.messages.pop(id);
        if (i % 13 === 0 && id === 'c') {
          await engine.sessions.delete(id);
          await newSession(engine, id);
        }
      }
    };
    const working = Promise.all(['a', 'b', 'c'].map(work));
    const copying = engine.copyTo(target, {
      verify: true,
      onProgress: ({ phase }) => {
        if (phase === 'following') following = true;
      },
    });
    const { mismatches, followed } = await copying;
    following = true;
    await working;
    await engine.messages.settled();
    // What was written after the end of the first run is brought by the next one.
    const { resumed, mismatches: rest } = await engine.copyTo(target, { verify: true });
    expect([mismatches, rest, resumed]).toEqual([[], [], true]);
    expect(followed).toBeGreaterThan(0);
    for (const id of ['a', 'b', 'c']) {
      const options = { limit: 1000 };
      expect(await target.messages.list(id, options)).toEqual(await engine.messages.list(id, options));
      expect(await target.state.get(id)).toEqual(await engine.state.get(id));
    }
  });

  it('hands leases over: their tokens go on growing', async () => {
    const engine = await open();
    const target = await inMemory();
    const id = await newSession(engine);
    for (let i = 0; i < 5; i++) await (await engine.sessions.lease(id)).release();
    const last = await engine.sessions.lease(id);
    await last.release();
    await engine.copyTo(target);
    await using next = await target.sessions.lease(id);
    expect(next.token).toBeGreaterThan(last.token);
  });
});

it('copyTo is for engines that were opened, and for whole stores', async () => {
  const [engine, target] = [await inMemory(), await inMemory()];
  await expect(engine.tenant('a').copyTo(target)).rejects.toMatchObject({ code: 'unsupported' });
  await expect(engine.copyTo(target.tenant('a'))).rejects.toMatchObject({ code: 'unsupported' });
  const nothing = {} as ContextEngine;
  await expect(engine.copyTo(nothing)).rejects.toMatchObject({ code: 'invalid-input' });
  await expect(engine.copyTo(engine)).rejects.toThrow('is the store itself');
  const wrong = { verfy: true } as object;
  await expect(engine.copyTo(target, wrong)).rejects.toThrow('did you mean verify?');
});

function participants() {
  return [
    { id: 'mara', role: 'user' as const },
    { id: 'planner', role: 'agent' as const },
  ];
}
