import { expect, test } from 'vitest';
import { NotFoundError } from '../../../src/core/errors.ts';
import { instrument, type ServiceCall } from '../../../src/core/monitor/instrument.ts';
import { Meter } from '../../../src/core/monitor/meter.ts';
import { inMemory, newSession } from '../../support/engines.ts';

class Base {
  inherited(): string {
    return 'inherited';
  }
}

class Service extends Base {
  readonly #secret = 'kept';

  async get(sessionId: string): Promise<string> {
    if (sessionId === 'nobody') throw new NotFoundError('session', sessionId);
    return this.#secret;
  }
  search(query: string, _options: { sessionId: string }): string {
    return query;
  }
  fails(): never {
    throw new TypeError('odd');
  }
  async *subscribe(): AsyncGenerator<number, void, void> {
    yield* [1, 2];
  }
  close(): void {}
}

function watched(name = 'messages') {
  using meter = new Meter();
  const service = new Service();
  const told: ServiceCall[] = [];
  instrument(
    { [name]: service },
    { tenant: 't', meter, observers: [() => ({ ended: (call) => told.push(call) })] },
  );
  return { service, told, meter };
}

test('sees calls that give a promise, a value or a generator, and those of inherited methods', async () => {
  const { service, told, meter } = watched();
  expect(await service.get('s')).toBe('kept');
  expect(service.search('what', { sessionId: 's' })).toBe('what');
  expect(service.inherited()).toBe('inherited');
  expect(await Array.fromAsync(service.subscribe())).toEqual([1, 2]);
  service.close();
  expect(told.map(({ verb, outcome }) => [verb, outcome])).toEqual([
    ['get', 'ok'],
    ['search', 'ok'],
    ['inherited', 'ok'],
    ['subscribe', 'ok'],
  ]);
  expect(told.every(({ durationMs, startedAt }) => durationMs >= 0 && startedAt <= Date.now() + 1)).toBe(
    true,
  );
  expect([...meter.calls.keys()].sort()).toEqual([
    'messages.get',
    'messages.inherited',
    'messages.search',
    'messages.subscribe',
  ]);
});

test('tells errors by their code, and gives them on as they are', async () => {
  const { service, told, meter } = watched();
  await expect(service.get('nobody')).rejects.toBeInstanceOf(NotFoundError);
  expect(() => service.fails()).toThrow(TypeError);
  expect(told.map(({ outcome }) => outcome).sort()).toEqual(['internal', 'not-found']);
  expect(Object.fromEntries(meter.errors)).toEqual({ 'not-found': 1, internal: 1 });
});

test('tells ids, but nothing that may be content', () => {
  const { service, told } = watched();
  service.search('my password', { sessionId: 's1' });
  expect(told[0]!.ids).toEqual({ sessionId: 's1' });
  expect(JSON.stringify(told[0])).not.toContain('password');
});

test('tells no ids of a service that it does not know', async () => {
  const { service, told } = watched('new-one');
  await service.get('may be content');
  expect(told[0]!.ids).toEqual({});
});

test('asks no observer that does not listen just now, and counts all the same', async () => {
  using meter = new Meter();
  const service = new Service();
  let isOn = false;
  const told: string[] = [];
  const observer = () => ({ isOn: () => isOn, ended: ({ verb }: ServiceCall) => told.push(verb) });
  instrument({ messages: service }, { tenant: 't', meter, observers: [observer] });
  await service.get('s');
  isOn = true;
  await service.get('s');
  expect(told).toEqual(['get']);
  expect(meter.calls.get('messages.get')).toMatchObject({ started: 2, succeeded: 2 });
});

test('counts all of very many calls, and times enough of them to stand for all', async () => {
  const { meter, service } = watched();
  const bare = new Service();
  instrument({ bare }, { tenant: 't', meter, observers: [] });
  for (let i = 0; i < 5000; i++) await bare.get('s');
  const series = meter.calls.get('bare.get')!;
  expect(series.succeeded).toBe(5000);
  expect(series.latency.count).toBe(5000);
  expect(service).toBeDefined();
});

test('tells the ids of the calls that are about one session, task or tool, whatever the verb', async () => {
  const lines: Record<string, unknown>[] = [];
  const hear = (fields: Record<string, unknown>) => lines.push(fields);
  const logger = { debug: hear, info() {}, warn() {}, error() {} };
  const engine = await inMemory({ logger });
  await newSession(engine);
  await (await engine.sessions.lease('s')).release();
  const body = () => engine.tasks.addUpdate('t', { updateType: 'note', data: 'more' });
  await engine.tasks.run({ id: 't', sessionId: 's', userId: 'ada' }, body);
  await engine.tasks.usage({ taskId: 't' });
  await engine.tasks.delete('t');
  engine.tools.unregister('echo');
  const idsOf = (name: string) => {
    const { tenant, call, ms, outcome, ...ids } = lines.find((line) => line.call === name)!;
    expect([tenant, call, outcome, ms]).toEqual(['default', name, 'ok', expect.any(Number)]);
    return ids;
  };
  expect(idsOf('leases.take')).toEqual({ sessionId: 's' });
  expect(idsOf('leases.release')).toEqual({ sessionId: 's' });
  expect(idsOf('tasks.run')).toEqual({ taskId: 't', sessionId: 's', userId: 'ada' });
  for (const verb of ['addUpdate', 'usage', 'delete'])
    expect(idsOf(`tasks.${verb}`)).toEqual({ taskId: 't' });
  expect(idsOf('tools.unregister')).toEqual({ tool: 'echo' });
});

test('tells a task by its own id, and not as a session', async () => {
  const { service, told } = watched('tasks');
  await service.get('t1');
  expect(told[0]!.ids).toEqual({ taskId: 't1' });
});
