/** What an engine tells its log. */
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { expect, onTestFinished, test, vi } from 'vitest';
import { loggable } from '../../../src/core/logger.ts';
import { ContextEngine, defineTool, type EngineOptions } from '../../../src/index.ts';
import { inMemory } from '../../support/engines.ts';

type Line = Record<string, unknown> & { msg: string; level: number };

/** A real pino, and what it wrote. */
function log(level = 'trace') {
  let text = '';
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      text += chunk.toString();
      done();
    },
  });
  const logger = pino({ level, base: null }, stream);
  const lines = () =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line);
  return { logger, lines, text: () => text };
}

const CANARY = 'canary-7431';
const EVENTS = [
  'session created',
  'compaction made',
  'tool executed',
  'task closed',
  'session forked',
  'session deleted',
];
const said = (role: 'user' | 'assistant', i: number) => ({
  role,
  content: `${CANARY} says ${i} things at length`,
});

async function busySession(engine: ContextEngine): Promise<void> {
  await engine.sessions.create({ id: 's', userId: 'u', metadata: { note: CANARY } });
  const talk = Array.from({ length: 40 }, (_, i) => said(i % 2 ? 'assistant' : 'user', i));
  await engine.messages.append('s', talk);
  await engine.messages.edit('s', (await engine.messages.list('s'))[0]!.id, { content: `${CANARY} anew` });
  await engine.state.merge('s', { secret: CANARY });
  await engine.memory.add({ userId: 'u', content: `likes ${CANARY}`, tags: [CANARY] }).catch(() => {});
  await engine.window.build('s', { maxTokens: 400, query: CANARY });
  await engine.window.compact('s', { targetTokens: 200 });
  await engine.messages.search(CANARY, { sessionId: 's' });
  engine.tools.register(
    defineTool({
      name: 'echo',
      description: CANARY,
      input: { type: 'object', properties: { text: { type: 'string' } } },
      execute: () => CANARY,
    }),
  );
  await engine.tools.execute('echo', { text: CANARY }, { sessionId: 's', userId: 'u' });
  const task = await engine.tasks.open({ id: 't', sessionId: 's' });
  await task.addUpdate('note', CANARY);
  await task.close();
  await engine.sessions.fork('s', { id: 'f' });
  await engine.sessions.delete('f');
  await engine.sessions.create({ id: 's', userId: 'u' }).catch(() => {});
  await engine.sessions.create({ id: CANARY.repeat(90), userId: 'u' }).catch(() => {});
  await engine.window.build('s', { maxTokens: 1, query: CANARY }).catch(() => {});
}

test('tells what happens in a session full of canaries, each line valid JSON, and no canary in any', async () => {
  const { logger, lines, text } = log();
  const engine = await inMemory({ logger });
  await busySession(engine);
  await engine.health.check();
  await engine.close();
  const told = lines();
  const messages = new Set(told.map(({ msg }) => msg));
  for (const event of EVENTS.concat('call')) expect(messages).toContain(event);
  expect(told.find(({ msg }) => msg === 'session created')).toMatchObject({
    tenant: 'default',
    sessionId: 's',
    userId: 'u',
  });
  expect(told.find(({ msg, call }) => msg === 'call' && call === 'messages.append')).toMatchObject({
    sessionId: 's',
    outcome: 'ok',
    ms: expect.any(Number),
  });
  expect(text()).not.toContain('canary');
});

test('tells no calls at level info', async () => {
  const { logger, lines } = log('info');
  const engine = await inMemory({ logger });
  await busySession(engine);
  expect(lines().every(({ level }) => level >= 30)).toBe(true);
  expect(lines().map(({ msg }) => msg)).toEqual(EVENTS);
});

test('tells by its code that a tool failed, and nothing of why', async () => {
  const { logger, lines, text } = log('info');
  const engine = await inMemory({ logger });
  const fail = () => {
    throw new Error(CANARY);
  };
  engine.tools.register(
    defineTool({ name: 'breaks', description: CANARY, input: { type: 'object' }, execute: fail }),
  );
  await engine.tools.execute('breaks', {}, { userId: 'u' });
  await engine.tools.execute('breaks', CANARY as never);
  expect(lines()).toMatchObject([
    { msg: 'tool failed', tool: 'breaks', userId: 'u', code: 'tool-failed', attempts: 1 },
    { msg: 'tool failed', tool: 'breaks', code: 'invalid-input', attempts: 0 },
  ]);
  expect(text()).not.toContain(CANARY);
});

test('tells calls as soon as the level of a running process is debug, and no longer than that', async () => {
  const { logger, lines } = log('info');
  const engine = await inMemory({ logger });
  await engine.sessions.create({ id: 's', userId: 'u' });
  logger.level = 'debug';
  await engine.sessions.get('s');
  logger.level = 'info';
  await engine.sessions.get('s');
  expect(lines().map(({ msg, call }) => call ?? msg)).toEqual(['session created', 'sessions.get']);
});

test('tells that health has changed, and why', async () => {
  const { logger, lines } = log('info');
  const engine = await inMemory({ logger });
  engine.health.register('own', () => ({ status: 'degraded', message: 'limps' }));
  await engine.health.check();
  expect(lines()).toEqual([
    expect.objectContaining({
      msg: 'health changed',
      level: 40,
      status: 'degraded',
      before: 'healthy',
      reasons: ['own: limps'],
    }),
  ]);
});

test('tells of failures in the background, without what others have put into their messages', async () => {
  const { logger, lines, text } = log();
  const options: EngineOptions = { logger, maintenanceIntervalMs: 0 };
  const engine = await ContextEngine.open('memory:', options);
  onTestFinished(() => engine.close());
  engine.health.onChange(() => {
    throw new RangeError(CANARY);
  });
  engine.health.register('own', () => ({ status: 'degraded' }));
  await engine.health.check();
  const failed = lines().find(({ msg }) => msg === 'background work failed');
  expect(failed).toMatchObject({ level: 50, error: { name: 'RangeError', stack: expect.any(Array) } });
  expect(text()).not.toContain(CANARY);
});

test('tells of an error from elsewhere nothing that may be content: no message, and no code that is more than a code', () => {
  const quoting = new Error(`failed:\n    at ${CANARY}`);
  expect(quoting.stack).toContain(`    at ${CANARY}`);
  const talkative = Object.assign(new Error('x'), { code: { text: CANARY }, name: [CANARY] });
  const told = [quoting, talkative].map(loggable);
  expect(JSON.stringify(told)).not.toContain(CANARY);
  expect(told).toMatchObject([
    { name: 'Error', stack: expect.arrayContaining([expect.stringMatching(/^at /)]) },
    { name: 'Error' },
  ]);
  const broken = Object.defineProperty(new Error('x'), 'stack', {
    get: () => {
      throw new Error('no');
    },
  });
  expect(loggable(broken)).toEqual({ name: 'object' });
});

test('does everything as usual with a logger that throws', async () => {
  const broken = () => {
    throw new Error('full');
  };
  const logger = { debug: broken, info: broken, warn: broken, error: broken, isLevelEnabled: broken };
  const engine = await inMemory({ logger });
  await expect(engine.sessions.create({ id: 's', userId: 'u' })).resolves.toMatchObject({ id: 's' });
});

test('does everything as usual with a logger that fails later', async () => {
  const unhandled = vi.fn();
  process.on('unhandledRejection', unhandled);
  onTestFinished(() => void process.off('unhandledRejection', unhandled));
  const broken = () => Promise.reject(new Error('full')) as never;
  const engine = await inMemory({ logger: { debug: broken, info: broken, warn: broken, error: broken } });
  await engine.sessions.create({ id: 's', userId: 'u' });
  // Such a rejection is told after the microtasks of the turn in which it happened.
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled).not.toHaveBeenCalled();
});

test('refuses a logger that is none', async () => {
  await expect(ContextEngine.open('memory:', { logger: { info() {} } as never })).rejects.toMatchObject({
    code: 'invalid-input',
    issues: [{ path: 'logger' }],
  });
});
