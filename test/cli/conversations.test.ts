import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Conversation } from '../../src/cli/conversations/conversation.ts';
import { type ReadLimits, readConversations } from '../../src/cli/conversations/read-conversations.ts';
import { ImportError, isHoldfastError } from '../../src/core/errors.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-conversations-'));
});
afterAll(() => rm(folder, { recursive: true }));

const fixture = (name: string) => join(import.meta.dirname, '../fixtures/conversations', name);

async function file(name: string, content: string | Buffer): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

/** Reads to the end or to the error, and gives both. */
async function read(path: string, limits: ReadLimits = {}) {
  const conversations: Conversation[] = [];
  let error: unknown;
  try {
    for await (const conversation of readConversations(path, limits)) conversations.push(conversation);
  } catch (caught) {
    error = caught;
  }
  return { conversations, error };
}

async function readAll(path: string, limits?: ReadLimits): Promise<Conversation[]> {
  const { conversations, error } = await read(path, limits);
  if (error) throw error;
  return conversations;
}

async function failure(path: string, limits?: ReadLimits): Promise<ImportError> {
  const { error } = await read(path, limits);
  expect(error).toBeInstanceOf(ImportError);
  return error as ImportError;
}

const line = (id: string) =>
  JSON.stringify({ id, userId: 'u', messages: [{ role: 'user', content: `to ${id}` }] });

describe('JSONL', () => {
  it('yields a conversation for each line, its messages as they are', async () => {
    const path = fixture('support.jsonl');
    const [first, second, ...more] = await readAll(path);
    expect(more).toEqual([]);
    expect(first).toMatchObject({
      id: 'ticket-1',
      userId: 'mara',
      createdAt: 1760000000000,
      metadata: { channel: 'email', tags: ['billing'] },
      source: { file: path, line: 1 },
    });
    expect(first?.messages).toHaveLength(5);
    expect(first?.messages[3]).toEqual({
      role: 'tool',
      tool_call_id: 'call_1',
      name: 'find_order',
      content: '{"state":"shipped","carrier":"parcel"}',
    });
    expect(second?.messages[1]).toEqual({
      role: 'assistant',
      name: 'Ida',
      content: 'Two rows, by the fence 🌱',
      createdAt: 1683554220000,
      metadata: { turn: '1:2' },
    });
  });

  it('accepts a byte order mark, CRLF, blank lines and a missing last line end', async () => {
    const path = await file('windows.jsonl', `\uFEFF\r\n${line('a')}\r\n\r\n  \r\n${line('b')}`);
    const conversations = await readAll(path);
    expect(conversations.map(({ id, source }) => [id, source.line])).toEqual([
      ['a', 2],
      ['b', 5],
    ]);
  });

  it('gives a conversation without an id one from the name and the place, whatever the layout', async () => {
    const lines = await file('tuning.jsonl', '{"messages":[]}\n\n{"messages":[]}\n');
    const array = await file('tuning.json', '[{"messages":[]},\n{"messages":[]}]');
    expect((await readAll(lines)).map(({ id }) => id)).toEqual(['tuning#1', 'tuning#2']);
    expect((await readAll(array)).map(({ id }) => id)).toEqual(['tuning#1', 'tuning#2']);
  });

  it('names file, line and column of a broken line, after the conversations before it', async () => {
    const path = await file('broken.jsonl', `${line('a')}\n${line('b')}\n{"id": secret}\n${line('c')}\n`);
    const { conversations, error } = await read(path);
    expect(conversations.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(isHoldfastError(error) && error.code).toBe('import');
    expect(String(error)).toContain(`${path}:3:8: is not JSON: unexpected character`);
    expect((error as ImportError).place).toEqual({ file: path, line: 3, column: 8 });
  });

  it.each([
    ['{"id":"a" "messages":[]}', 11, 'expected'],
    ['{"id":"a","messages":[],}', 25, 'expected'],
    ['{"id":"a","messages":[,]}', 23, 'unexpected character'],
    ['{"id":"a\u0001"}', 9, 'bad control character'],
    ['{"id":"a"} at position 5', 12, 'unexpected non-whitespace'],
    ['{"id":x, "y": "in JSON at position 5"}', 7, 'unexpected character'],
  ])('finds what is wrong in %j, and never quotes it', async (text, column, reason) => {
    const error = await failure(await file('syntax.jsonl', `${line('a')}\n${text}\n`));
    expect(error.place).toMatchObject({ line: 2, column });
    expect(error.message).toContain(reason);
    expect(error.message).not.toContain(text.slice(1, 8));
    expect(error.cause).toBeUndefined();
  });

  it('reports all problems of a line at once, with the fields', async () => {
    const bad = {
      id: '',
      userId: 7,
      createdAt: 'yesterday',
      metadata: [],
      messages: [{ role: 'user' }, 'secret'],
    };
    const error = await failure(await file('fields.jsonl', `${line('a')}\n${JSON.stringify(bad)}\n`));
    expect(error.issues.map(({ path }) => path)).toEqual([
      'id',
      'userId',
      'createdAt',
      'metadata',
      'messages[1]',
    ]);
    expect(error.message).toContain('fields.jsonl:2: id: must not be empty; userId: ');
    expect(error.message).toContain('messages[1]: expected an object, got string');
    expect(error.message).not.toContain('secret');
    expect(error.message).not.toContain('yesterday');
  });

  it.each([
    ['{"id":"a","msgs":[]}', 'messages: is missing, expected array; is "msgs" meant to be messages?'],
    ['{"id":"a","Mesages":[]}', 'messages: is missing, expected array; is "Mesages" meant to be messages?'],
    ['{"id":"a","model":"m"}', 'messages: is missing, expected array'],
    ['{"id":"a","msgs":[],"messages":{}}', 'messages: expected array, got object'],
    ['{"messages":[],"holdfast":{"stat":{}}}', 'holdfast.stat: is unknown, did you mean state?'],
    [
      '{"mapping":{"n":{"message":{"author":{}}}}}',
      'mapping["n"].message.author.role: is missing, expected string',
    ],
  ])('says in our words what is wrong with %s', async (text, problem) => {
    const path = await file('words.jsonl', `${text}\n`);
    expect((await failure(path)).message).toBe(`${path}:1: ${problem}`);
  });

  it('lists only the first of very many problems', async () => {
    const bad = JSON.stringify({ id: 'a', messages: Array.from({ length: 1000 }, () => 1) });
    const error = await failure(await file('many.jsonl', `${bad}\n`));
    expect(error.message).toContain('messages[19]');
    expect(error.message).not.toContain('messages[20]');
    expect(error.message).toMatch(/and 980 more problems$/);
  });

  it('says which line is no conversation', async () => {
    const path = await file('values.jsonl', `${line('a')}\n[1]\n`);
    expect((await failure(path)).message).toBe(`${path}:2: expected a conversation, got array`);
  });

  it('tells a torn last line as such', async () => {
    const path = await file('torn.jsonl', `${line('a')}\n${line('b').slice(0, 40)}`);
    const { conversations, error } = await read(path);
    expect(conversations.map(({ id }) => id)).toEqual(['a']);
    expect(String(error)).toContain(`${path}:2: is cut off: the file ends in the middle of a conversation`);
  });

  it('tells a torn only line as such', async () => {
    const path = await file('torn-first.jsonl', line('a').slice(0, 40));
    expect((await failure(path)).message).toContain(`${path}:1: is cut off`);
  });

  it('does not call a line torn that the file goes on after', async () => {
    const path = await file('short.jsonl', `${line('a')}\n{"id":"b",\n${line('c')}\n`);
    expect((await failure(path)).message).toContain(`${path}:2:11: is not JSON`);
  });

  it('reads characters and lines that lie across the chunks of the file', async () => {
    const text = '🌱ä'.repeat(200_000);
    const lines = ['a', 'b', 'c'].map((id) =>
      JSON.stringify({ id, messages: [{ role: 'user', content: text }] }),
    );
    const conversations = await readAll(await file('wide.jsonl', `${lines.join('\n')}\n`));
    expect(conversations.map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    for (const { messages } of conversations) expect(messages).toEqual([{ role: 'user', content: text }]);
  });

  it('reads a line of 30 MiB', async () => {
    const content = 'x'.repeat(30 * 1024 * 1024);
    const path = await file(
      'big.jsonl',
      JSON.stringify({ id: 'big', messages: [{ role: 'user', content }] }),
    );
    const [conversation] = await readAll(path);
    expect((conversation!.messages[0] as { content: string }).content).toHaveLength(content.length);
  });

  it('refuses a line above the limit', async () => {
    const path = await file('long.jsonl', `${line('a')}\n${line('b'.repeat(200))}\n`);
    const { conversations, error } = await read(path, { maxLineBytes: 200 });
    expect(conversations).toHaveLength(1);
    expect(String(error)).toContain(`${path}:2: the line has more than the 200 bytes that are allowed`);
  });

  it('names the line that is not UTF-8', async () => {
    const bytes = Buffer.concat([Buffer.from(`${line('a')}\n`), Buffer.from([0x22, 0xff, 0x22, 0x0a])]);
    const path = await file('latin.jsonl', bytes);
    expect((await failure(path)).message).toBe(`${path}:2: is not UTF-8 text`);
  });

  it('keeps hostile keys and ids exactly, and touches no prototype', async () => {
    const hostile =
      '{"id":"../%*{}","constructor":1,"metadata":{"__proto__":{"polluted":1}},' +
      '"messages":[{"role":"user","content":"x","__proto__":{"polluted":1}}]}';
    const [conversation] = await readAll(await file('hostile.jsonl', hostile));
    expect(conversation?.id).toBe('../%*{}');
    expect(JSON.stringify(conversation?.metadata)).toBe('{"constructor":1,"__proto__":{"polluted":1}}');
    expect(JSON.stringify(conversation?.messages[0])).toContain('"__proto__":{"polluted":1}');
    expect('polluted' in {}).toBe(false);
    expect((conversation!.messages[0] as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it.each(['\u0000', '\ud800', 'x'.repeat(257)])('refuses the id %j', async (id) => {
    const path = await file('ids.jsonl', JSON.stringify({ id, messages: [] }));
    expect((await failure(path)).issues.map((issue) => issue.path)).toEqual(['id']);
  });
});

describe('OpenAI chat JSON', () => {
  it('reads a pretty-printed conversation; the fields around its messages become metadata', async () => {
    const path = fixture('chat.json');
    const [conversation, ...more] = await readAll(path);
    expect(more).toEqual([]);
    expect(conversation).toMatchObject({
      id: 'chat#1',
      userId: 'mara',
      metadata: { model: 'gpt-4o', team: 'shop' },
      source: { file: path },
    });
    expect(conversation?.messages).toHaveLength(3);
  });

  it('reads the same conversation from one line', async () => {
    const [pretty] = await readAll(fixture('chat.json'));
    const { source: _, importedFrom: __, ...expected } = pretty!;
    const compact = { model: 'gpt-4o', user: 'mara', metadata: { team: 'shop' }, messages: pretty?.messages };
    const [conversation] = await readAll(await file('chat.json', JSON.stringify(compact)));
    expect(conversation).toMatchObject(expected);
  });

  it('reads a bare array of messages', async () => {
    const conversations = await readAll(fixture('messages.json'));
    expect(conversations).toEqual([
      {
        id: 'messages#1',
        messages: [
          { role: 'user', content: 'One?' },
          { role: 'assistant', content: 'Two.' },
        ],
        importedFrom: fixture('messages.json'),
        source: { file: fixture('messages.json') },
      },
    ]);
  });

  it('reads an array of conversations', async () => {
    const conversations = await readAll(fixture('chats.json'));
    expect(conversations.map(({ id, source }) => [id, source.index])).toEqual([
      ['first', 0],
      ['chats#2', 1],
    ]);
  });

  it('takes null for a field that is not there', async () => {
    const path = await file('nulls.json', '{"id":null,"user":null,"metadata":null,"messages":[]}');
    expect(await readAll(path)).toEqual([
      { id: 'nulls#1', importedFrom: path, messages: [], source: { file: path, line: 1 } },
    ]);
  });

  it('names the conversation that is wrong, after those before it', async () => {
    const path = await file('wrong.json', '[{"messages":[]}, {"id":3}]');
    const { conversations, error } = await read(path);
    expect(conversations).toHaveLength(1);
    expect(String(error)).toContain(`${path}, conversation 2: id: `);
    expect((error as ImportError).issues.map((issue) => issue.path)).toEqual(['id', 'messages']);
  });

  it('names line and column of what is not JSON', async () => {
    const path = await file('bad.json', '{\n  "messages": [\n    {"role": secret}\n  ]\n}\n');
    const error = await failure(path);
    expect(error.message).toBe(`${path}:3:14: is not JSON: unexpected character`);
  });

  it('tells a torn document as such', async () => {
    const path = await file('torn.json', '[\n  {"messages": [\n    {"role": "us');
    expect((await failure(path)).message).toContain(`${path}:3: is cut off`);
  });

  it('refuses a document that is too large for one string, and says what to do', async () => {
    const error = await failure(fixture('chats.json'), { maxDocumentBytes: 100 });
    expect(error.message).toContain('too large, the limit is 100');
    expect(error.hint).toContain('JSONL');
  });
});

describe('files', () => {
  it.each(['', '\n \r\n', '\uFEFF', '[]'])('finds no conversations in %j', async (content) => {
    expect(await readAll(await file('empty.jsonl', content))).toEqual([]);
  });

  it.each(['# Notes', 'PK\u0003\u0004', '"text"', '17'])(
    'refuses %j, which is no format it knows',
    async (content) => {
      const error = await failure(await file('other.txt', content));
      expect(error.message).toContain('is neither JSON nor JSONL');
      expect(error.hint).toContain('ChatGPT');
    },
  );

  it('says at once that a file is missing', () => {
    const path = join(folder, 'nowhere.jsonl');
    expect(() => readConversations(path)).toThrow(`${path}: there is no such file`);
  });

  it('says at once that a directory is none', () => {
    expect(() => readConversations(folder)).toThrow(`${folder}: is a directory`);
  });

  it.each(['support.jsonl', 'chats.json', 'chatgpt.json'])('tells how far %s is read', async (name) => {
    const conversations = readConversations(fixture(name));
    const steps = [conversations.bytesRead];
    for await (const _ of conversations) steps.push(conversations.bytesRead);
    expect(steps).toHaveLength(3);
    expect(steps[0]).toBe(0);
    expect(steps[1]).toBeGreaterThan(0);
    expect(steps[1]).toBeLessThan(conversations.totalBytes);
    expect(steps[2]).toBe(conversations.totalBytes);
  });

  it('reads again from the start when it is iterated again, with what the file has now', async () => {
    const path = await file('growing.jsonl', `${line('a')}\n`);
    const conversations = readConversations(path);
    expect(await Array.fromAsync(conversations, ({ id }) => id)).toEqual(['a']);
    await appendFile(path, `${line('b')}\n`);
    expect(await Array.fromAsync(conversations, ({ id }) => id)).toEqual(['a', 'b']);
  });

  it('can be left in the middle', async () => {
    for await (const conversation of readConversations(fixture('support.jsonl'))) {
      expect(conversation.id).toBe('ticket-1');
      break;
    }
  });
});
