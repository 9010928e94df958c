import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { ContextEngine } from '../../../src/index.ts';
import { ContextEngine as Engine } from '../../../src/index.ts';
import { FakeClock, newSession, onEverySharedStore, onEveryStore } from '../../support/engines.ts';
import type { LeaseOrder } from './lease-worker.ts';

const conflict = expect.objectContaining({ code: 'conflict' });
const hello = { role: 'user', content: 'hello' } as const;

onEveryStore('leases', (open) => {
  it('are held by one at a time, and had by the next one once they are released', async () => {
    const engine = await open();
    const id = await newSession(engine);
    const first = await engine.sessions.lease(id, { owner: 'one' });
    const taking = engine.sessions.lease(id, { owner: 'two' });
    await expect(taking).rejects.toThrow(/^session "s" is leased by "one" until \d{4}-/);
    await expect(taking).rejects.toMatchObject({ details: { owner: 'one', expiresAt: first.expiresAt } });
    await first.release();
    await using second = await engine.session(id).lease({ owner: 'two' });
    expect(second.token).toBeGreaterThan(first.token);
    expect(second).toMatchObject({ sessionId: id, owner: 'two' });
    expect(first.signal.aborted).toBe(false);
  });

  it('are released at the end of their scope, once', async () => {
    const engine = await open();
    const id = await newSession(engine);
    {
      await using lease = await engine.sessions.lease(id);
      await lease.release();
      await using next = await engine.sessions.lease(id);
      await lease.release();
      await engine.messages.append(id, hello, { lease: next });
    }
    await (await engine.sessions.lease(id)).release();
  });

  it('let writes through while they are current, and none after that', async () => {
    const engine = await open();
    const id = await newSession(engine);
    const old = await engine.sessions.lease(id);
    await engine.messages.append(id, [hello, hello], { lease: old });
    await engine.state.set(id, 'a', 1, { lease: { token: old.token } });
    await engine.messages.append(id, [hello, hello, hello], { lease: old, history: true });
    await old.release();
    const late = [
      () => engine.messages.append(id, hello, { lease: old }),
      () => engine.state.set(id, 'a', 2, { lease: old }),
      () => engine.state.merge(id, { a: 2 }, { lease: old }),
      () => engine.state.delete(id, 'a', { lease: old }),
      () => old.renew(),
    ];
    for (const write of late) await expect(write()).rejects.toEqual(conflict);
    await using current = await engine.sessions.lease(id);
    for (const write of late) await expect(write()).rejects.toEqual(conflict);
    await expect(late[0]!()).rejects.toThrow('is held by another run, or was released');
    await engine.messages.append(id, hello, { lease: current });
    expect(await engine.messages.list(id)).toHaveLength(4);
    expect((await engine.state.get(id)).value).toEqual({ a: 1 });
  });

  it('expire where they are not renewed, and are lost to the next one', async () => {
    const clock = new FakeClock();
    const engine = await open({ clock });
    const id = await newSession(engine);
    const old = await engine.sessions.lease(id, { autoRenew: false });
    expect(old.expiresAt).toBe(clock.now() + 30_000);
    clock.forward(29_999);
    await expect(engine.sessions.lease(id)).rejects.toEqual(conflict);
    await old.renew();
    clock.forward(29_999);
    await expect(engine.sessions.lease(id)).rejects.toEqual(conflict);
    clock.forward(1);
    await using next = await engine.sessions.lease(id);
    expect(next.token).toBeGreaterThan(old.token);
    await expect(engine.messages.append(id, hello, { lease: old })).rejects.toEqual(conflict);
    await expect(old.renew()).rejects.toEqual(conflict);
    expect(old.signal.aborted).toBe(true);
    await old.release();
    await engine.messages.append(id, hello, { lease: next });
  });

  it('are renewed in the background until they are released', async () => {
    const engine = await open();
    const id = await newSession(engine);
    await using lease = await engine.sessions.lease(id, { ttlMs: 3000 });
    const until = lease.expiresAt;
    await expect.poll(() => lease.expiresAt).toBeGreaterThan(until + 1500);
    await expect(engine.sessions.lease(id)).rejects.toEqual(conflict);
    await engine.messages.append(id, hello, { lease });
    expect(lease.signal.aborted).toBe(false);
  });

  it('tell that they were not renewed in time', async () => {
    const engine = await open();
    const id = await newSession(engine);
    const lease = await engine.sessions.lease(id, { ttlMs: 100, autoRenew: false });
    if (!lease.signal.aborted) await once(lease.signal, 'abort');
    expect(lease.signal.reason).toMatchObject({ code: 'conflict', message: /was not renewed in time/ });
    await expect(lease.renew()).rejects.toThrow('was not renewed in time');
  });

  it('are waited for until they are released, or have expired', async () => {
    const engine = await open();
    const id = await newSession(engine);
    const first = await engine.sessions.lease(id);
    const waiting = engine.sessions.lease(id, { waitMs: 60_000, ttlMs: 200, autoRenew: false });
    // Other commits, of this session as well, are none of its business.
    for (let i = 0; i < 5; i++) await engine.messages.append(id, hello, { lease: first });
    await first.renew();
    await first.release();
    const second = await waiting;
    const third = await engine.sessions.lease(id, { waitMs: 60_000 });
    expect(third.token).toBeGreaterThan(second.token);
    await expect(engine.sessions.lease(id, { waitMs: 50 })).rejects.toThrow('is leased by');
    const stop = new AbortController();
    const stopped = engine.sessions.lease(id, { waitMs: 60_000, signal: stop.signal });
    stop.abort(new Error('no more'));
    await expect(stopped).rejects.toThrow('no more');
    await third.release();
  });

  it('are of sessions that are there', async () => {
    const engine = await open();
    await expect(engine.sessions.lease('none')).rejects.toMatchObject({ code: 'not-found' });
    const id = await newSession(engine);
    const lease = await engine.sessions.lease(id);
    await engine.sessions.delete(id);
    await expect(engine.messages.append(id, hello, { lease })).rejects.toMatchObject({ code: 'not-found' });
    await expect(lease.renew()).rejects.toMatchObject({ code: expect.stringMatching(/conflict|not-found/) });
    await newSession(engine);
    const next = await engine.sessions.lease(id);
    expect(next.token).toBeGreaterThan(lease.token);
    await expect(engine.messages.append(id, hello, { lease })).rejects.toEqual(conflict);
    await next.release();
  });

  it('stay with their session when it is forked', async () => {
    const engine = await open();
    const id = await newSession(engine);
    await using _ = await engine.sessions.lease(id);
    const fork = await engine.sessions.fork(id);
    await using lease = await engine.sessions.lease(fork.id);
    await engine.messages.append(fork.id, hello, { lease });
  });

  it('keep a session alive that goes on', async () => {
    const clock = new FakeClock();
    const engine = await open({ clock });
    await engine.sessions.create({ id: 's', userId: 'u', ttlMs: 10_000 });
    await using lease = await engine.sessions.lease('s', { autoRenew: false });
    for (let i = 0; i < 3; i++) {
      clock.forward(9000);
      await lease.renew();
    }
    expect((await engine.sessions.get('s')).lastActivityAt).toBe(clock.now());
  });

  it('say everything that is wrong with their input', async () => {
    const engine = await open();
    const id = await newSession(engine);
    const wrong = { ttlMs: 1, waitMs: -1, ownr: 'me' } as object;
    await expect(engine.sessions.lease(id, wrong)).rejects.toMatchObject({
      issues: [
        { path: 'ttlMs', message: 'must be at least 100' },
        { path: 'waitMs', message: 'must be at least 0' },
        { path: 'ownr', message: 'is unknown, did you mean owner?' },
      ],
    });
    const lease = { token: 'x' } as unknown as { token: number };
    await expect(engine.messages.append(id, hello, { lease })).rejects.toThrow(
      'expected a lease, or { token }',
    );
  });
});

onEverySharedStore('tokens of leases', (place) => {
  it('only grow, whoever takes, renews, releases or lets go', async () => {
    const clock = new FakeClock();
    const open = await place();
    const engines = [await open({ clock }), await open({ clock })];
    const action = fc.record({
      who: fc.nat(1),
      do: fc.constantFrom('take', 'release', 'renew', 'wait', 'write'),
    });
    let session = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 20 }), async (actions) => {
        const id = await newSession(engines[0]!, `s${session++}`);
        const held: (Awaited<ReturnType<ContextEngine['sessions']['lease']>> | undefined)[] = [];
        let newest = 0;
        for (const { who, do: what } of actions) {
          const engine = engines[who]!;
          const lease = held[who];
          if (what === 'wait') clock.forward(20_000);
          if (what === 'release') await lease?.release();
          if (what === 'renew') await lease?.renew().catch(() => undefined);
          if (what === 'write' && lease) {
            const written = await engine.messages.append(id, hello, { lease }).then(
              () => true,
              () => false,
            );
            // Who has released it, or has seen another take it, writes nothing.
            if (lease.token < newest) expect(written).toBe(false);
          }
          if (what !== 'take') continue;
          const taken = await engine.sessions.lease(id, { autoRenew: false }).catch(() => undefined);
          if (!taken) continue;
          expect(taken.token).toBeGreaterThan(newest);
          newest = taken.token;
          held[who] = taken;
        }
        for (const lease of held) await lease?.release();
      }),
      { numRuns: 30 },
    );
  });
});

describe('leases between processes', () => {
  it('let one run after the other, however they race', async () => {
    const { engine, url } = await sharedFile();
    const workers = [await Worker.start(url), await Worker.start(url)];
    await Promise.all(workers.map((worker) => worker.obey({ do: 'race', times: 100 })));
    const messages = await engine.messages.list('s', { limit: 1000 });
    const said = messages.map(({ content }) => String(content).split(' ') as [string, string]);
    expect(said).toHaveLength(400);
    expect(said.map(([what]) => what)).toEqual(Array(200).fill(['begin', 'end']).flat());
    const tokens = said.map(([, token]) => Number(token));
    expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
    expect(new Set(tokens).size).toBe(200);
  });

  it('keep a process that was stopped from writing when it wakes up', async () => {
    const { engine, url } = await sharedFile();
    const worker = await Worker.start(url);
    const token = await worker.obey({ do: 'take', ttlMs: 500 });
    worker.process.kill('SIGSTOP');
    await using lease = await engine.sessions.lease('s', { waitMs: 50_000 });
    expect(lease.token).toBeGreaterThan(token as number);
    const lost = worker.lost;
    worker.process.kill('SIGCONT');
    await expect(worker.obey({ do: 'write' })).rejects.toBe('conflict');
    await lost;
    await engine.messages.append('s', hello, { lease });
    expect(await engine.messages.list('s')).toHaveLength(1);
  });
});

async function sharedFile(): Promise<{ engine: ContextEngine; url: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-'));
  const url = `file:${join(folder, 'store.db')}`;
  const engine = await Engine.open(url, { durability: 'normal', maintenanceIntervalMs: 0 });
  onTestFinished(async () => {
    await engine.close();
    await rm(folder, { recursive: true });
  });
  await newSession(engine);
  return { engine, url };
}

type Answer = { ok: unknown } | { error: string } | { lost: true };

/** Another process that takes leases. */
class Worker {
  readonly process: ChildProcess;
  /** Resolves when it says that it lost its lease. */
  readonly lost: Promise<unknown>;

  private constructor(process: ChildProcess) {
    this.process = process;
    this.lost = new Promise((resolve) =>
      process.on('message', (answer: Answer) => void ('lost' in answer && resolve(true))),
    );
  }

  static async start(url: string): Promise<Worker> {
    const child = fork(join(import.meta.dirname, 'lease-worker.ts'), [url]);
    onTestFinished(() => void child.kill('SIGKILL'));
    const worker = new Worker(child);
    await worker.#answer();
    return worker;
  }

  obey(order: LeaseOrder): Promise<unknown> {
    const answer = this.#answer();
    this.process.send(order);
    return answer;
  }

  #answer(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const listen = (answer: Answer) => {
        if ('lost' in answer) return;
        this.process.off('message', listen);
        if ('ok' in answer) resolve(answer.ok);
        else reject(answer.error);
      };
      this.process.on('message', listen).once('exit', () => reject(new Error('the process is gone')));
    });
  }
}
