import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { eventsOf, type ServerEvent, type Serving, serve } from './serving.ts';

describe.each(['memory:', 'file:'] as const)('the event stream on %s', (store) => {
  let serving: Serving;

  beforeEach(async () => {
    serving = await serve(store, { pingIntervalMs: 20 });
    await serving.call('POST', '/v1/sessions', { id: 's', userId: 'ada' });
  });
  afterEach(() => serving[Symbol.asyncDispose]());

  async function open(query = '', headers: Record<string, string> = {}) {
    const gone = new AbortController();
    const url = `${serving.server.url}/v1/events${query}`;
    const response = await fetch(url, { headers, signal: gone.signal });
    return { response, events: eventsOf(response), leave: () => gone.abort() };
  }

  /** The next `count` events; pings and the opening block are passed over, and noted. */
  async function take(
    events: AsyncGenerator<ServerEvent, void, void>,
    count: number,
    passed: ServerEvent[] = [],
  ) {
    const taken: ServerEvent[] = [];
    while (taken.length < count) {
      const { value, done } = await events.next();
      if (done) break;
      (value.data ? taken : passed).push(value);
    }
    return taken;
  }

  const say = (content: string, session = 's') =>
    serving.call('POST', `/v1/sessions/${session}/messages`, { role: 'user', content });

  test('tells what happens from now on', async () => {
    const { response, events, leave } = await open();
    expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
    await say('one');
    await serving.call('PATCH', '/v1/sessions/s/state', { a: 1 });
    const [message, state] = await take(events, 2);
    expect(message).toMatchObject({
      event: 'message.appended',
      data: { sessionId: 's', firstSeq: 1, count: 1 },
    });
    expect(state).toMatchObject({ event: 'state.changed', data: { type: 'state.changed' } });
    expect(message!.id).toBe(message!.data!.cursor);
    leave();
  });

  test('goes on after the last event that a client has seen', async () => {
    const first = await open('?types=message.appended');
    for (const n of [1, 2, 3]) await say(`${n}`);
    const [seen] = await take(first.events, 1);
    first.leave();
    await say('4');
    const again = await open('?types=message.appended', { 'last-event-id': seen!.id! });
    const rest = await take(again.events, 3);
    expect(rest.map((event) => event.data!.firstSeq)).toEqual([2, 3, 4]);
    again.leave();
    const byQuery = await open(`?types=message.appended&after=${encodeURIComponent(rest[1]!.id!)}`);
    expect((await take(byQuery.events, 1))[0]!.data!.firstSeq).toBe(4);
    byQuery.leave();
  });

  test('a client that is cut off before its first event misses none', async () => {
    const first = await open();
    const { value: opening } = await first.events.next();
    first.leave();
    await say('meanwhile');
    const again = await open('', { 'last-event-id': opening!.id! });
    expect((await take(again.events, 1))[0]).toMatchObject({ event: 'message.appended' });
    again.leave();
  });

  test('starts at the oldest event that is kept', async () => {
    const { events, leave } = await open('?after=oldest');
    expect((await take(events, 1))[0]).toMatchObject({ event: 'session.created' });
    leave();
  });

  test('a client cut off between the events of one commit gets the rest of them', async () => {
    const participants = [
      { id: 'ada', role: 'user' },
      { id: 'bot', role: 'agent' },
    ];
    for (const id of ['c1', 'c2']) {
      await serving.call('POST', '/v1/sessions/s/channels', { id, type: 'user_to_agent', participants });
    }
    await serving.call('PATCH', '/v1/sessions/s/state', { a: 1 });
    const { events, leave } = await open('?sessionId=copy&types=channel.opened,state.changed');
    await serving.call('POST', '/v1/sessions/s/fork', { id: 'copy' });
    const copied = await take(events, 3);
    expect(copied.map((event) => event.id)).toEqual(copied.map((event) => event.data!.cursor));
    leave();
    const again = await open(`?sessionId=copy&types=channel.opened,state.changed&after=${copied[0]!.id}`);
    expect(await take(again.events, 3)).toEqual(copied);
    again.leave();
  });

  test('tells only of the session and the types asked for', async () => {
    await serving.call('POST', '/v1/sessions', { id: 'other', userId: 'ada' });
    const { events, leave } = await open('?sessionId=other&types=message.appended,state.changed');
    await say('not this');
    await serving.call('POST', '/v1/sessions/other/end');
    await say('this', 'other');
    expect((await take(events, 1))[0]!.data).toMatchObject({ sessionId: 'other', type: 'message.appended' });
    leave();
  });

  test('tells a tenant only of its own', async () => {
    const tenant = { 'holdfast-tenant': 'acme' };
    const { events, leave } = await open('', tenant);
    await say('not this');
    await serving.call('POST', '/v1/sessions', { id: 'theirs', userId: 'ada' }, tenant);
    expect((await take(events, 1))[0]!.data).toMatchObject({ sessionId: 'theirs', tenant: 'acme' });
    leave();
  });

  test('pings while nothing happens', async () => {
    const { events, leave } = await open();
    const passed: ServerEvent[] = [];
    while (!passed.some(({ comment }) => comment === 'ping')) passed.push((await events.next()).value!);
    await say('after the ping');
    expect(await take(events, 1)).toHaveLength(1);
    leave();
  });

  test('refuses cursors, types and sessions that are none before it begins', async () => {
    for (const query of ['?after=never', '?types=message.apended', '?types=', '?sessionId=%00', '?typ=x']) {
      const answer = await serving.call('GET', `/v1/events${query}`);
      expect(answer).toMatchObject({ status: 400, body: { error: { code: 'invalid-input' } } });
    }
  });

  test('answers 410 to a cursor that the journal no longer keeps', async () => {
    const { value: opening } = await (await open()).events.next();
    await say('one');
    // What was committed in this very millisecond stays: it is trimmed until the cursor is behind.
    await vi.waitFor(async () => {
      await serving.engine.events.trim({ keepMs: 0 });
      await expect(serving.engine.events.cursor(opening!.id!)).rejects.toMatchObject({
        code: 'cursor-expired',
      });
    });
    const answer = await serving.call('GET', '/v1/events', undefined, { 'last-event-id': opening!.id! });
    expect(answer).toMatchObject({ status: 410, body: { error: { code: 'cursor-expired' } } });
  });

  test('stops reading the journal when the client has gone', async () => {
    const subscribe = vi.spyOn(serving.engine.events, 'subscribe');
    const { events, leave } = await open();
    await events.next();
    const { signal } = subscribe.mock.lastCall![0]!;
    expect(signal!.aborted).toBe(false);
    leave();
    await vi.waitFor(() => expect(signal!.aborted).toBe(true));
  });
});
