import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineTool } from '../../src/index.ts';
import { type Client, rawGet, type Serving, serve } from './serving.ts';

describe.each(['memory:', 'file:'] as const)('the API on %s', (store) => {
  let serving: Serving;
  let call: Client;
  let number = 0;
  const said = new Map<string, Set<'well' | 'badly'>>();

  beforeAll(async () => {
    serving = await serve(store);
    call = async (method, path, body, headers) => {
      const answer = await serving.call(method, path, body, headers);
      const outcome = answer.status < 400 ? 'well' : 'badly';
      const name = `${method} ${path.split('?')[0]}`;
      said.set(name, (said.get(name) ?? new Set()).add(outcome));
      return answer;
    };
  });
  afterAll(() => serving[Symbol.asyncDispose]());

  /** A session of its own for a test: its path. */
  async function newSession(): Promise<string> {
    const id = `s${++number}`;
    await call('POST', '/v1/sessions', { id, userId: 'ada' });
    return `/v1/sessions/${id}`;
  }

  async function withMessages(count: number): Promise<string> {
    const session = await newSession();
    const messages = Array.from({ length: count }, (_, i) => ({ role: 'user', content: `message ${i + 1}` }));
    await call('POST', `${session}/messages`, { messages });
    return session;
  }

  function expectError(answer: { status: number; body: unknown }, status: number, code: string): void {
    expect(answer.body).toMatchObject({ error: { code, message: expect.any(String) } });
    expect(answer.status).toBe(status);
  }

  test('makes, gives, changes and deletes sessions', async () => {
    const made = await call('POST', '/v1/sessions', { id: 'made', userId: 'ada', metadata: { a: 1 } });
    expect(made).toMatchObject({ status: 201, body: { id: 'made', userId: 'ada', metadata: { a: 1 } } });
    expectError(await call('POST', '/v1/sessions', { id: 'made', userId: 'ada' }), 409, 'conflict');
    const bad = await call('POST', '/v1/sessions', { usrId: 'ada', ttlMs: -1 });
    expectError(bad, 400, 'invalid-input');
    const paths = bad.body.error.details.issues.map((issue: { path: string }) => issue.path);
    expect(paths.sort()).toEqual(['ttlMs', 'userId', 'usrId']);

    const got = await call('GET', '/v1/sessions/made');
    expect(got.body).toEqual(made.body);
    expect(got.headers.get('etag')).toBe(`"${made.body.version}"`);
    expectError(await call('GET', '/v1/sessions/nobody'), 404, 'not-found');

    const changed = await call('PATCH', '/v1/sessions/made', { metadata: { b: 2 }, incrementRequests: true });
    expect(changed.body).toMatchObject({ metadata: { a: 1, b: 2 }, requests: 1 });
    expectError(await call('PATCH', '/v1/sessions/made', { metdata: {} }), 400, 'invalid-input');

    expect(await call('DELETE', '/v1/sessions/made')).toMatchObject({ status: 200, body: { deleted: true } });
    expectError(await call('DELETE', '/v1/sessions/made'), 404, 'not-found');
  });

  test('lists, describes, counts and calls tools, as somebody without a role', async () => {
    const { tools } = serving.engine;
    const input = z.object({ times: z.int() });
    const letters = { name: 'letters', description: 'Gives letters.', tags: ['text'], input };
    const execute = ({ times }: { times: number }) => 'x'.repeat(times);
    tools.register(defineTool({ ...letters, maxResultBytes: 1000, onLargeResult: 'offload', execute }));
    tools.register(defineTool({ ...letters, name: 'secret', permission: 'restricted', execute }));
    const listed = await call('GET', '/v1/tools?tag=text');
    expect(listed.body.tools.map(({ name }: { name: string }) => name)).toEqual(['letters', 'secret']);
    expectError(await call('GET', '/v1/tools?tga=text'), 400, 'invalid-input');
    const { body } = await call('GET', '/v1/tools/letters');
    expect(body).toMatchObject({ permission: 'public', inputJsonSchema: { type: 'object' } });
    expectError(await call('GET', '/v1/tools/leters'), 404, 'not-found');

    const session = await newSession();
    const sessionId = session.split('/').at(-1);
    const called = await call('POST', '/v1/tools/letters/execute', { params: { times: 3 }, sessionId });
    expect(called).toMatchObject({ status: 200, body: { success: true, result: 'xxx', attempts: 1 } });
    const path = '/v1/tools/letters/execute';
    expectError(await call('POST', path, { params: { times: 'x' } }), 400, 'invalid-input');
    const posing = await call('POST', '/v1/tools/secret/execute', { params: { times: 1 }, role: 'admin' });
    expectError(posing, 400, 'invalid-input');
    expectError(await call('POST', '/v1/tools/secret/execute', { params: { times: 1 } }), 403, 'forbidden');
    expectError(await call('POST', '/v1/tools/nobody/execute', {}), 404, 'not-found');
    const { handle } = (await call('POST', path, { params: { times: 5000 }, sessionId })).body.large;
    const part = await call('GET', `${session}/tool-results?handle=${handle}&offset=4990`);
    expect(part.body).toEqual({ text: 'xxxxxxxxxx', offset: 4990, length: 5000 });
    expectError(await call('GET', `${session}/tool-results?handle=tool:none`), 404, 'not-found');
    expect((await call('GET', '/v1/tools/letters/stats')).body).toMatchObject({ calls: 3, failed: 1 });
    expectError(await call('GET', '/v1/tools/nobody/stats'), 404, 'not-found');
  });

  test('makes a session only where there is none with PUT', async () => {
    const first = await call('PUT', '/v1/sessions/put', { userId: 'ada' });
    const second = await call('PUT', '/v1/sessions/put', { userId: 'bob' });
    expect([first.body.userId, second.body.userId]).toEqual(['ada', 'ada']);
    expectError(await call('PUT', '/v1/sessions/put', {}), 400, 'invalid-input');
  });

  test('writes to a session only at the version asked for', async () => {
    const session = await newSession();
    const { version } = (await call('GET', session)).body;
    const changes = { metadata: { n: 1 } };
    const first = await call('PATCH', session, changes, { 'if-match': `"${version}"` });
    expect(first.status).toBe(200);
    expectError(await call('PATCH', session, changes, { 'if-match': `"${version}"` }), 409, 'conflict');
    expectError(await call('PATCH', `${session}?ifVersion=${version}`, changes), 409, 'conflict');
    const next = await call('PATCH', `${session}?ifVersion=${first.body.version}`, changes);
    expect(next.status).toBe(200);
    expectError(await call('PATCH', session, changes, { 'if-match': '*' }), 400, 'invalid-input');
    expectError(
      await call('PATCH', `${session}?ifVersion=1`, changes, { 'if-match': '2' }),
      400,
      'invalid-input',
    );
    expectError(await call('DELETE', session, undefined, { 'if-match': '2' }), 400, 'invalid-input');
  });

  test('lists sessions page by page', async () => {
    for (const id of ['l1', 'l2', 'l3']) await call('POST', '/v1/sessions', { id, userId: 'lister' });
    const first = (await call('GET', '/v1/sessions?userId=lister&limit=2')).body;
    const rest = (await call('GET', `/v1/sessions?userId=lister&after=${encodeURIComponent(first.next)}`))
      .body;
    const ids = [...first.sessions, ...rest.sessions].map((session: { id: string }) => session.id);
    expect(ids.sort()).toEqual(['l1', 'l2', 'l3']);
    expect(rest.next).toBeUndefined();
    expectError(await call('GET', '/v1/sessions?limit=0'), 400, 'invalid-input');
    const wrong = await call('GET', '/v1/sessions?limt=2&status=done');
    expect(wrong.body.error.message).toMatch(/limt: is unknown, did you mean limit\?/);
    expect(wrong.body.error.message).toMatch(/status: expected one of active/);
    expectError(await call('GET', '/v1/sessions?limit=1&limit=2'), 400, 'invalid-input');
  });

  test('ends and forks sessions', async () => {
    const session = await withMessages(3);
    expect((await call('POST', `${session}/end`)).body.status).toBe('completed');
    expect((await call('POST', `${session}/end`, { status: 'failed' })).body.status).toBe('failed');
    expectError(await call('POST', `${session}/end`, { statsu: 'failed' }), 400, 'invalid-input');

    const fork = await call('POST', `${session}/fork`, { id: `${number}-fork`, atSeq: 2 });
    expect(fork).toMatchObject({ status: 201, body: { messageCount: 2 } });
    expect((await call('POST', `${session}/fork`)).body.messageCount).toBe(3);
    expectError(await call('POST', `${session}/fork`, { atSeq: -1 }), 400, 'invalid-input');
  });

  test('leases sessions to one holder at a time', async () => {
    const session = await newSession();
    const taken = await call('POST', `${session}/lease`, { owner: 'ada', ttlMs: 60_000 });
    expect(taken).toMatchObject({ status: 201, body: { owner: 'ada', token: expect.any(Number) } });
    expectError(await call('POST', `${session}/lease`, { waitMs: 1 }), 409, 'conflict');
    const { token, expiresAt } = taken.body;
    const messages = [{ role: 'user', content: 'mine' }];
    const mine = { messages, lease: { token } };
    expect((await call('POST', `${session}/messages`, mine)).status).toBe(201);
    const renewed = await call('PUT', `${session}/lease/${token}`, { ttlMs: 90_000 });
    expect(renewed.body.expiresAt).toBeGreaterThan(expiresAt);
    expect((await call('DELETE', `${session}/lease/${token}`)).body).toEqual({ deleted: true });
    expectError(await call('PUT', `${session}/lease/${token}`), 409, 'conflict');
    expectError(await call('POST', `${session}/messages`, mine), 409, 'conflict');
    expectError(await call('DELETE', `${session}/lease/x`), 400, 'invalid-input');
    expect((await call('POST', `${session}/lease`)).body.token).toBeGreaterThan(token);
  });

  test('appends one message or several, and lists them', async () => {
    const session = await newSession();
    const one = await call('POST', `${session}/messages`, { role: 'user', content: 'first' });
    expect(one).toMatchObject({ status: 201, body: { seq: 1, content: 'first' } });
    const messages = ['second', 'third'].map((content) => ({ role: 'user', content }));
    const more = await call('POST', `${session}/messages`, { messages });
    expect(more.body.messages.map((message: { seq: number }) => message.seq)).toEqual([2, 3]);

    const bad = await call('POST', `${session}/messages`, { messages: [{ role: 'usr' }, { content: 1 }] });
    expectError(bad, 400, 'invalid-input');
    expect(bad.body.error.message).toMatch(/messages\[0\].*messages\[1\]/s);
    for (const body of [{ messages: 'x' }, { messages, histroy: true }, [messages[0]], null, 'text']) {
      expectError(await call('POST', `${session}/messages`, body), 400, 'invalid-input');
    }

    const contents = async (query: string) =>
      (await call('GET', `${session}/messages${query}`)).body.messages.map(
        (message: { content: string }) => message.content,
      );
    expect(await contents('')).toEqual(['first', 'second', 'third']);
    expect(await contents('?limit=2')).toEqual(['second', 'third']);
    expect(await contents('?after=0&limit=1')).toEqual(['first']);
    expect(await contents('?before=@3')).toEqual(['first', 'second']);
    expect((await call('GET', `${session}/messages?as=openai&limit=1`)).body.messages).toEqual([
      { role: 'user', content: 'third' },
    ]);
    expectError(await call('GET', `${session}/messages?as=xml`), 400, 'invalid-input');
  });

  test('appends only what is new of a whole history', async () => {
    const session = await newSession();
    const history = [1, 2, 3].map((n) => ({ role: 'user', content: `turn ${n}` }));
    await call('POST', `${session}/messages`, { messages: history.slice(0, 2), history: true });
    const added = await call('POST', `${session}/messages`, { messages: history, history: true });
    expect(added.body.messages).toMatchObject([{ content: 'turn 3' }]);
    const other = [{ role: 'user', content: 'something else' }];
    expectError(
      await call('POST', `${session}/messages`, { messages: other, history: true }),
      409,
      'conflict',
    );
  });

  test('gives and edits a message', async () => {
    const session = await withMessages(2);
    const message = `${session}/messages/@2`;
    expect((await call('GET', message)).body).toMatchObject({ seq: 2, content: 'message 2' });
    expect((await call('PATCH', message, { content: 'new', pinned: true })).body).toMatchObject({
      seq: 2,
      content: 'new',
      pinned: true,
    });
    expectError(await call('PATCH', message, { role: 'system' }), 400, 'invalid-input');
    expectError(await call('GET', `${session}/messages/@9`), 404, 'not-found');
    expectError(await call('GET', `${message}?channel=`), 400, 'invalid-input');
    expectError(await call('GET', message.replace('@2', '@3')), 404, 'not-found');
  });

  test('searches the messages of a session, and of a user', async () => {
    const session = await newSession();
    const messages = ['The bicycle is red.', 'The kettle boils.'].map((content) => ({
      role: 'user',
      content,
    }));
    await call('POST', `${session}/messages`, { messages });
    const found = await call('POST', `${session}/search`, { query: 'which bicycle', limit: 1 });
    expect(found.body).toMatchObject({
      hits: [{ message: { seq: 1, content: 'The bicycle is red.' }, sessionId: session.split('/').at(-1) }],
      index: { complete: true, behind: 0 },
      embedding: 'off',
    });
    expectError(await call('POST', `${session}/search`, { limit: 1 }), 400, 'invalid-input');
    const everywhere = await call('POST', '/v1/messages/search', { query: 'kettle', userId: 'ada' });
    expect(everywhere.body.hits[0].message.content).toBe('The kettle boils.');
    expectError(await call('POST', '/v1/messages/search', { query: 'kettle' }), 400, 'invalid-input');
  });

  test('pops, truncates and clears', async () => {
    const session = await withMessages(6);
    expect((await call('POST', `${session}/messages/pop`)).body.messages).toMatchObject([{ seq: 6 }]);
    expect((await call('POST', `${session}/messages/pop`, { count: 2 })).body.messages).toHaveLength(2);
    expectError(await call('POST', `${session}/messages/pop`, { count: 0 }), 400, 'invalid-input');
    const truncated = await call('POST', `${session}/messages/truncate`, { beforeSeq: 2 });
    expect(truncated.body).toEqual({ removed: 1 });
    expectError(await call('POST', `${session}/messages/truncate`, {}), 400, 'invalid-input');
    expectError(await call('POST', `${session}/messages/truncate`), 400, 'invalid-input');
    expect((await call('POST', `${session}/messages/clear`)).body).toEqual({ removed: 2 });
    expectError(await call('POST', `${session}/messages/clear`, { chanel: 'x' }), 400, 'invalid-input');
    expect((await call('GET', `${session}/messages`)).body.messages).toEqual([]);
  });

  test('keeps the conversations of channels apart', async () => {
    const session = await newSession();
    const participants = [
      { id: 'ada', role: 'user' },
      { id: 'bot', role: 'agent' },
    ];
    const channel = { id: 'help', type: 'user_to_agent', participants };
    expect(await call('POST', `${session}/channels`, channel)).toMatchObject({ status: 201, body: channel });
    expectError(await call('POST', `${session}/channels`, { ...channel, type: 'x' }), 400, 'invalid-input');
    expect((await call('GET', `${session}/channels`)).body.channels).toMatchObject([{ id: 'help' }]);
    expectError(await call('GET', '/v1/sessions/nobody/channels'), 404, 'not-found');
    expect((await call('GET', `${session}/channels/help`)).body).toMatchObject(channel);
    expectError(await call('GET', `${session}/channels/none`), 404, 'not-found');

    const sent = await call('POST', `${session}/channels/help/messages`, { from: 'ada', content: 'hello' });
    expect(sent).toMatchObject({ status: 201, body: { role: 'user', name: 'ada', content: 'hello' } });
    expectError(
      await call('POST', `${session}/channels/help/messages`, { from: 'eve', content: 'hello' }),
      400,
      'invalid-input',
    );
    expectError(await call('POST', `${session}/channels/help/messages`, []), 400, 'invalid-input');
    const list = await call('GET', `${session}/channels/help/messages?limit=10`);
    expect(list.body.messages).toMatchObject([{ content: 'hello' }]);
    expectError(await call('GET', `${session}/channels/none/messages`), 404, 'not-found');
    expect((await call('GET', `${session}/messages`)).body.messages).toEqual([]);
  });

  test('reads and writes the shared state', async () => {
    const session = await newSession();
    const state = `${session}/state`;
    expect((await call('GET', state)).body).toEqual({ value: {}, version: 0 });
    expectError(await call('GET', '/v1/sessions/nobody/state'), 404, 'not-found');
    await call('PATCH', state, { plan: { step: 1 } });
    const merged = await call('PATCH', state, { plan: { owner: 'bot' } });
    expect(merged.body.value).toEqual({ plan: { step: 1, owner: 'bot' } });
    expect(merged.headers.get('etag')).toBe(`"${merged.body.version}"`);
    expectError(await call('PATCH', state, [1]), 400, 'invalid-input');
    expectError(await call('PATCH', state, { a: 1 }, { 'if-match': '"0"' }), 409, 'conflict');

    expect((await call('PUT', `${state}/colour`, 'blue')).body.value.colour).toBe('blue');
    expect((await call('PUT', `${state}/colour`, null)).body.value.colour).toBeNull();
    expectError(await call('PUT', `${state}/colour`), 400, 'invalid-input');
    expect((await call('DELETE', `${state}/colour`)).body.value).not.toHaveProperty('colour');
    expectError(await call('DELETE', `${state}/colour?ifVersion=0`), 409, 'conflict');
    expectError(await call('DELETE', `${state}?ifVersion=0`), 409, 'conflict');
    expect((await call('DELETE', state)).body.value).toEqual({});
  });

  test('builds, records and replays windows', async () => {
    const session = await withMessages(4);
    const window = await call('POST', `${session}/window`, { maxTokens: 500, record: true, as: 'openai' });
    expect(window.body.messages.at(-1)).toEqual({ role: 'user', content: 'message 4' });
    const over = await call('POST', `${session}/window`, { maxTokens: 4 });
    expectError(over, 422, 'budget');
    expect(over.body.error.details.requiredTokens).toBeGreaterThan(4);
    expectError(await call('POST', `${session}/window`, { maxTokns: 4 }), 400, 'invalid-input');

    const { windows } = (await call('GET', `${session}/windows`)).body;
    expect(windows).toMatchObject([{ id: window.body.manifest.id }]);
    expectError(await call('GET', `${session}/windows?limit=many`), 400, 'invalid-input');
    const replayed = await call('GET', `${session}/windows/${windows[0].id}`);
    expect(replayed.body).toMatchObject({ changed: [], gone: [] });
    expect(replayed.body.messages).toHaveLength(4);
    expectError(await call('GET', `${session}/windows/99`), 404, 'not-found');
  });

  test('compacts, lists compactions, takes them back, and reads back what markers stand for', async () => {
    const session = await newSession();
    const result = 'Box 7 is on shelf 21. '.repeat(200);
    // The two newest tools keep their results, whatever their length.
    const messages = ['c1', 'c2', 'c3'].flatMap((id) => [
      { role: 'user', content: `Where is box 7? Ask ${id}.` },
      {
        role: 'assistant',
        content: null,
        tool_calls: [{ id, type: 'function', function: { name: 'shelves', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: id, content: result },
      { role: 'assistant', content: 'On shelf 21.' },
    ]);
    await call('POST', `${session}/messages`, { messages });
    const compactions = `${session}/compactions`;
    const strategy = ['tool-results'];
    const made = await call('POST', compactions, { strategy, targetTokens: 600 });
    expect(made.body.compaction).toMatchObject({ id: '1', strategy: 'tool-results' });
    const refused = await call('POST', compactions, { strategy, targetTokens: 600 });
    expect(refused.body).toMatchObject({ refused: { reason: 'nothing-to-compact' } });
    expect((await call('POST', compactions)).body.compaction).toMatchObject({ id: '2', base: '1' });
    expectError(await call('POST', compactions, { strategy: 'shrink' }), 400, 'invalid-input');
    expectError(await call('POST', '/v1/sessions/nobody/compactions'), 404, 'not-found');

    const listed = (await call('GET', `${compactions}?limit=1`)).body.compactions;
    expect(listed).toMatchObject([{ id: '2' }]);
    expectError(await call('GET', `${compactions}?limit=0`), 400, 'invalid-input');
    expect((await call('POST', `${compactions}/undo`)).body).toMatchObject({
      id: '2',
      undone: { reason: 'undone' },
    });
    expectError(await call('POST', `${compactions}/undo`, { id: '9' }), 404, 'not-found');

    const window = await call('POST', `${session}/window`, { maxTokens: 20_000, recall: false });
    const handle = /@3(?:\/\d+)?/.exec(JSON.stringify(window.body.messages))![0];
    const offloaded = `${session}/offloaded`;
    const whole = await call('GET', `${offloaded}?handle=${encodeURIComponent(handle)}`);
    expect(whole.body).toMatchObject({ seq: 3, text: result });
    expectError(await call('GET', `${offloaded}?handle=here`), 400, 'invalid-input');
    expectError(await call('GET', `${offloaded}?handle=@99/0`), 404, 'not-found');
    expectError(await call('GET', offloaded), 400, 'invalid-input');
  });

  test('recalls into a window, and leaves that out where it is told to', async () => {
    const session = await newSession();
    const messages = Array.from({ length: 60 }, (_, i) => ({
      role: i % 2 ? 'assistant' : 'user',
      content: i === 4 ? 'The kettle is called Ferdinand.' : `Turn ${i}: ${'blah '.repeat(20)}`,
    }));
    await call('POST', `${session}/messages`, { messages });
    const ask = { maxTokens: 400, query: 'name of the kettle', recall: { deadlineMs: 60_000 } };
    const window = (await call('POST', `${session}/window`, ask)).body;
    const block = window.sections.find(({ name }: { name: string }) => name === 'recalled');
    expect(block.items[0].recalled).toContainEqual({ seq: 5, version: 1 });
    expect(window.recall).toMatchObject({ query: ask.query, index: { complete: true } });
    const without = (await call('POST', `${session}/window`, { ...ask, recall: false })).body;
    expect(JSON.stringify(without)).not.toContain('Ferdinand');
    const wrong = await call('POST', `${session}/window`, { ...ask, recall: { share: 2, memory: true } });
    expectError(wrong, 400, 'invalid-input');
  });

  test('sums up usage', async () => {
    const session = await newSession();
    await call('POST', `${session}/usage`, { inputTokens: 10, outputTokens: 2, model: 'm' });
    const sums = await call('POST', `${session}/usage`, { inputTokens: 5, cachedTokens: 5 });
    expect(sums.body).toMatchObject({ calls: 2, inputTokens: 15, byModel: { m: { inputTokens: 10 } } });
    expect((await call('GET', `${session}/usage`)).body).toEqual(sums.body);
    expectError(await call('POST', `${session}/usage`, { inputTokens: -1 }), 400, 'invalid-input');
    expectError(await call('GET', '/v1/sessions/nobody/usage'), 404, 'not-found');
  });

  test('adds, finds, changes and deletes memories', async () => {
    const given = { content: 'Ada rows on Sundays', userId: 'ada', tags: ['sport', 'lake'], importance: 0.6 };
    const added = await call('POST', '/v1/memories', given);
    expect(added).toMatchObject({ status: 201, body: { ...given, merged: false, tier: 'medium' } });
    expectError(await call('POST', '/v1/memories', { content: '' }), 400, 'invalid-input');
    const path = `/v1/memories/${added.body.id}`;
    const got = await call('GET', `${path}?userId=ada`);
    expect(got.body).toMatchObject(given);
    expectError(await call('GET', `${path}?userId=bob`), 404, 'not-found');

    const query = 'userId=ada&tags=sport,lake&tiers=medium,long&minImportance=0.5&limit=5';
    expect((await call('GET', `/v1/memories?${query}`)).body.memories).toHaveLength(1);
    expect((await call('GET', '/v1/memories?userId=ada&superseded=true')).body.memories).toEqual([]);
    expectError(await call('GET', '/v1/memories?tiers=forever'), 400, 'invalid-input');

    const search = { query: 'Who rows?', userId: 'ada', limit: 3 };
    const found = await call('POST', '/v1/memories/search', search);
    expect(found.body).toMatchObject({ hits: [{ memory: given }], index: { complete: true } });
    expectError(await call('POST', '/v1/memories/search', { userId: 'ada' }), 400, 'invalid-input');
    const tagged = { tags: ['lake', 'sea'], match: 'any', userId: 'ada' };
    expect((await call('POST', '/v1/memories/search-by-tags', tagged)).body.memories).toHaveLength(1);
    expectError(await call('POST', '/v1/memories/search-by-tags', {}), 400, 'invalid-input');

    const etag = got.headers.get('etag')!;
    const changed = await call('PATCH', path, { key: 'sport' }, { 'if-match': etag });
    expect(changed.body).toMatchObject({ ...given, key: 'sport' });
    expectError(await call('PATCH', path, { kind: 'x' }, { 'if-match': etag }), 409, 'conflict');
    expect((await call('DELETE', `${path}?userId=ada`)).body).toEqual({ deleted: true });
    expectError(await call('DELETE', path), 404, 'not-found');
  });

  test('consolidates, cleans up, counts and audits memories', async () => {
    for (const content of ['Bob swims in the lake each June', 'Bob swims in the cold lake each June'])
      await call('POST', '/v1/memories', { content, userId: 'bob' });
    expect((await call('GET', '/v1/memory/audit?userId=bob')).body.counts).toMatchObject({
      'near-duplicates': 2,
    });
    expectError(await call('GET', '/v1/memory/audit?limit=0'), 400, 'invalid-input');
    expect((await call('POST', '/v1/memory/consolidate')).body).toMatchObject({ merged: 1 });
    expectError(await call('POST', '/v1/memory/consolidate', { similarity: 7 }), 400, 'invalid-input');
    const stats = await call('GET', '/v1/memory/stats?userId=bob');
    expect(stats.body).toMatchObject({ count: 1, consolidated: 1 });
    expectError(await call('GET', '/v1/memory/stats?sessionId=nobody'), 404, 'not-found');
    expect((await call('POST', '/v1/memory/cleanup', { maxAgeDays: 1 })).body).toMatchObject({ removed: 0 });
    expectError(await call('POST', '/v1/memory/cleanup', { maxAgeDays: -1 }), 400, 'invalid-input');
  });

  test('tells its health', async () => {
    const monitor = await call('GET', '/v1/monitor?history=true');
    expect(monitor.body).toMatchObject({
      tenant: 'default',
      health: { score: expect.any(Number) },
      history: [],
    });
    expectError(await call('GET', '/v1/monitor?history=1'), 400, 'invalid-input');
    const metrics = await call('GET', '/metrics');
    expect(metrics.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(metrics.body).toMatch(/^holdfast_sessions \d+$/m);
    expectError(await call('GET', '/metrics?all=1'), 400, 'invalid-input');
    const { status, body } = await call('GET', '/healthz');
    expect(status).toBe(200);
    expect(body).toMatchObject({ ok: true, store: { name: expect.any(String), problems: [] } });
    expectError(await call('GET', '/healthz?verbose=1'), 400, 'invalid-input');
  });

  test('tells its health check by check, and does what helps', async () => {
    const { status, body } = await call('GET', '/v1/health');
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: 'healthy', reasons: [], checks: expect.any(Array) });
    expect(body.checks.map(({ name }: { name: string }) => name)).toContain('journal');
    expectError(await call('GET', '/v1/health?deep=1'), 400, 'invalid-input');
    const done = await call('POST', '/v1/health/recover/rebuild-index');
    expect(done.body).toMatchObject({ action: 'rebuild-index', done: true });
    expectError(await call('POST', '/v1/health/recover/reconnect'), 501, 'unsupported');
    expectError(await call('POST', '/v1/health/recover/reboot?timeoutMs=0'), 400, 'invalid-input');
  });

  test('keeps tenants apart', async () => {
    const tenant = { 'holdfast-tenant': 'caf%C3%A9' };
    await call('POST', '/v1/sessions', { id: 'shared-name', userId: 'ada' }, tenant);
    expect((await call('GET', '/v1/sessions/shared-name', undefined, tenant)).status).toBe(200);
    expectError(await call('GET', '/v1/sessions/shared-name'), 404, 'not-found');
    expect((await serving.engine.tenant('café').sessions.get('shared-name')).userId).toBe('ada');
    for (const name of ['$system', '', '%zz', 'x'.repeat(257)]) {
      const refused = await call('GET', '/v1/sessions', undefined, { 'holdfast-tenant': name });
      expectError(refused, 400, 'invalid-input');
    }
  });

  test('appends that come at once keep their order and lose nothing', async () => {
    const session = await newSession();
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let n = 0; n < 25; n++) {
        const content = `${writer}:${n}`;
        const answer = await call('POST', `${session}/messages`, { role: 'user', content });
        expect(answer.status).toBe(201);
      }
    });
    await Promise.all(writers);
    const { messages } = (await call('GET', `${session}/messages?after=0&limit=1000`)).body;
    expect(messages.map((message: { seq: number }) => message.seq)).toEqual(
      Array.from({ length: 200 }, (_, i) => i + 1),
    );
    for (let writer = 0; writer < 8; writer++) {
      const own = messages
        .map((message: { content: string }) => message.content)
        .filter((content: string) => content.startsWith(`${writer}:`));
      expect(own).toEqual(Array.from({ length: 25 }, (_, n) => `${writer}:${n}`));
    }
  });

  test.each([
    '../../etc/passwd',
    '../',
    'a/b',
    '%2e%2e%2f',
    '%00',
    '%',
    '?x=1#y',
    '*',
    '{id}',
    ':id',
    '__proto__',
    'constructor',
    ' a + b ',
    'naïve 漢字 🙂',
    "'; drop table records; --",
    '\\..\\',
    '\n\t',
    '...',
    'x'.repeat(256),
  ])('stores the id %j exactly', async (id) => {
    const path = `/v1/sessions/${encodeURIComponent(id)}`;
    const made = await call('POST', '/v1/sessions', { id, userId: id });
    expect(made.body.id).toBe(id);
    expect((await call('GET', path)).body.id).toBe(id);
    await call('POST', `${path}/messages`, { id, role: 'user', content: id });
    const message = await call('GET', `${path}/messages/${encodeURIComponent(id)}`);
    expect(message.body).toMatchObject({ id, content: id });
    const { value } = (await call('PUT', `${path}/state/${encodeURIComponent(id)}`, id)).body;
    expect(Object.entries(value)).toEqual([[id, id]]);
    const listed = await call('GET', `/v1/sessions?userId=${encodeURIComponent(id)}`);
    expect(listed.body.sessions).toHaveLength(1);
    expect((await call('DELETE', path)).status).toBe(200);
  });

  test.each(['%00', 'a%00b', '%ff', '%ED%A0%80', '%zz', 'x'.repeat(257)])(
    'answers 400 to the id %s',
    async (id) => {
      expectError(await call('GET', `/v1/sessions/${id}`), 400, 'invalid-input');
      expectError(await call('POST', `/v1/sessions/${id}/messages`, { role: 'user' }), 400, 'invalid-input');
    },
  );

  test('never resolves dots in a path', async () => {
    const session = await newSession();
    for (const dots of ['..', '%2e%2e', '.%2E', '.', '%2e']) {
      const answer = await rawGet(serving.server.url, `${session}/state/${dots}`, 'DELETE');
      expectError(answer, 400, 'invalid-input');
      // A client that resolves them by itself ends at a path that is none.
      expect((await call('DELETE', `${session}/state/${dots}`)).status).toBe(404);
    }
    expect((await call('GET', session)).status).toBe(200);
  });

  test('opens, goes on with, lists and ends tasks', async () => {
    const session = await newSession();
    const chatId = session.split('/').at(-1);
    const opened = await call('POST', '/v1/tasks', { id: `t${number}`, chatId, metadata: { a: 1 } });
    expect(opened).toMatchObject({ status: 201, body: { sessionId: chatId, userId: 'ada', history: [] } });
    expectError(await call('POST', '/v1/tasks', { chtId: 'x' }), 400, 'invalid-input');
    const path = `/v1/tasks/t${number}`;
    const added = await call('POST', `${path}/updates`, { updateType: 'message', data: 'hello' });
    expect(added).toMatchObject({ status: 201, body: { seq: 1, updateType: 'message', data: 'hello' } });
    expectError(await call('POST', `${path}/updates`, { data: 1 }), 400, 'invalid-input');
    expect((await call('GET', path)).body).toMatchObject({ history: [{ updateType: 'message' }] });
    expectError(await call('GET', '/v1/tasks/nothing'), 404, 'not-found');
    const used = {
      modelId: 'small',
      providerId: 'acme',
      mode: 'chat',
      usage: { inputTokens: 9, cost: 0.25 },
    };
    for (const calls of [1, 2])
      expect(await call('POST', `${path}/models`, used)).toMatchObject({ status: 201, body: { calls } });
    expectError(await call('POST', `${path}/models`, { modelId: 'small' }), 400, 'invalid-input');
    await call('POST', `${path}/updates`, { updateType: 'message', data: 'hello' });
    const shorter = { optimized: true, updates: 2 };
    expect((await call('POST', `${path}/optimize`)).body).toMatchObject(shorter);
    expect((await call('POST', `${path}/optimize`)).body).toMatchObject({ ...shorter, optimized: false });
    expect((await call('GET', path)).body.history).toHaveLength(2);
    expectError(await call('POST', `${path}/optimize`, { maxSize: -1 }), 400, 'invalid-input');
    expect((await call('POST', `${path}/close`)).body).toMatchObject({ failed: false });
    expectError(await call('POST', `${path}/updates`, { updateType: 'message' }), 409, 'closed');
    expectError(await call('POST', `${path}/models`, used), 409, 'closed');
    expect((await call('POST', `${path}/close`, { failed: true })).body).toMatchObject({ failed: false });
    expectError(await call('POST', '/v1/tasks/nothing/close', {}), 404, 'not-found');
    expectError(await call('POST', `${path}/close`, { failed: 'yes' }), 400, 'invalid-input');
    const listed = await call('GET', `/v1/tasks?sessionId=${chatId}`);
    expect(listed.body.tasks).toMatchObject([{ status: 'completed', updates: 3, usage: { calls: 2 } }]);
    expectError(await call('GET', '/v1/tasks?sesionId=x'), 400, 'invalid-input');
    const { id } = (await call('POST', '/v1/tasks', {})).body;
    const failed = { failed: true, error: { message: 'out of chains' } };
    expect((await call('POST', `/v1/tasks/${id}/close`, failed)).body).toMatchObject({
      failed: true,
      history: [{ updateType: 'error', data: { message: 'out of chains' } }],
    });
    expect((await call('DELETE', path)).body).toEqual({ deleted: true });
    expectError(await call('DELETE', path), 404, 'not-found');
    expect((await call('GET', `/v1/usage?sessionId=${chatId}`)).body).toMatchObject({
      calls: 2,
      inputTokens: 18,
      cost: 0.5,
      models: [{ modelId: 'small' }],
    });
    expect((await call('GET', '/v1/usage?modelId=nobody-has-it')).body).toMatchObject({ calls: 0 });
    expectError(await call('GET', '/v1/usage'), 400, 'invalid-input');
  });

  test("adds to a session's timeline and reads it, messages included", async () => {
    const session = await withMessages(2);
    const added = await call('POST', `${session}/timeline`, { updateType: 'tool_call', data: { tool: 'x' } });
    expect(added).toMatchObject({ status: 201, body: { seq: 1, updateType: 'tool_call' } });
    expectError(await call('POST', `${session}/timeline`, {}), 400, 'invalid-input');
    const { items } = (await call('GET', `${session}/timeline?limit=10`)).body;
    expect(items.map(({ kind }: { kind: string }) => kind)).toEqual(['message', 'message', 'update']);
    const newest = await call('GET', `${session}/timeline?limit=1&reverse=true&types=tool_call`);
    expect(newest.body.items).toHaveLength(1);
    expectError(await call('GET', `${session}/timeline?after=x`), 400, 'invalid-input');
  });

  test('every route of the description was called above, once well and once badly', async () => {
    const { paths } = (await serving.call('GET', '/openapi.json')).body;
    const missing = Object.entries(paths as Record<string, object>).flatMap(([path, methods]) =>
      Object.keys(methods).flatMap((method) => {
        // An event stream does not end by itself: it has tests of its own.
        if (path === '/v1/events') return [];
        const pattern = new RegExp(`^${method} ${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`, 'i');
        const outcomes = new Set([...said].flatMap(([name, seen]) => (pattern.test(name) ? [...seen] : [])));
        return (['well', 'badly'] as const)
          .filter((outcome) => !outcomes.has(outcome))
          .map((outcome) => `${method} ${path} ${outcome}`);
      }),
    );
    expect(missing).toEqual([]);
  });
});
