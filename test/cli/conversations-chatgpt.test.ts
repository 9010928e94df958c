import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Conversation } from '../../src/cli/conversations/conversation.ts';
import { readConversations } from '../../src/cli/conversations/read-conversations.ts';
import type { MessageInput, Part } from '../../src/core/model/message.ts';

const fixture = join(import.meta.dirname, '../fixtures/conversations/chatgpt.json');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-chatgpt-'));
});
afterAll(() => rm(folder, { recursive: true }));

type Node = Record<string, unknown>;

/** Reads an export of one conversation. */
async function readExport(conversation: Node): Promise<Conversation> {
  const path = join(folder, 'conversations.json');
  await writeFile(path, JSON.stringify([conversation]));
  const [first] = await Array.fromAsync(readConversations(path));
  return first!;
}

/** A conversation in which each message follows the one before. */
function chain(...messages: Node[]): Node {
  const nodes = messages.map((message, i) => [
    `n${i}`,
    { id: `n${i}`, message, parent: i === 0 ? null : `n${i - 1}`, children: [] },
  ]);
  return { id: 'c', current_node: `n${messages.length - 1}`, mapping: Object.fromEntries(nodes) };
}

const user = (text: string): Node => ({
  author: { role: 'user' },
  content: { content_type: 'text', parts: [text] },
});
const says = (content: Node, fields: Node = {}): Node => ({
  author: { role: 'assistant' },
  content,
  ...fields,
});
const calls = (tool: string, text: string) => says({ content_type: 'code', text }, { recipient: tool });
const answers = (tool: string, text: string): Node => ({
  author: { role: 'tool', name: tool },
  content: { content_type: 'execution_output', text },
});

const messagesOf = ({ messages }: Conversation) => messages as (MessageInput & { content: Part[] })[];
const outline = (conversation: Conversation) =>
  messagesOf(conversation).map(({ id, role }) => `${role} ${id}`);

/** Each call must be followed at once by its one result. */
function expectPairs(conversation: Conversation): void {
  const messages = messagesOf(conversation);
  messages.forEach((message, i) => {
    const part = Array.isArray(message.content) ? message.content[0] : undefined;
    if (part?.type === 'tool-call') {
      expect(messages[i + 1]?.content).toMatchObject([{ type: 'tool-result', toolCallId: part.toolCallId }]);
    }
    if (message.role === 'tool') {
      expect(messages[i - 1]?.content).toMatchObject([{ type: 'tool-call', toolCallId: part?.toolCallId }]);
    }
  });
}

describe('an export of ChatGPT', () => {
  it('gives id, times in milliseconds, title, model and the other fields of a conversation', async () => {
    const [first, second] = await Array.fromAsync(readConversations(fixture));
    expect(first).toMatchObject({
      id: 'conv-chain',
      createdAt: 1760000000500,
      metadata: {
        title: 'Chain length',
        model: 'o3',
        updatedAt: 1760000051000,
        chatgpt: { is_starred: true, is_archived: false },
      },
      source: { file: fixture, index: 0 },
    });
    expect(first?.userId).toBeUndefined();
    expect(second?.metadata).toMatchObject({ title: 'A bird', chatgpt: { gizmo_id: 'g-123' } });
  });

  it('takes only the branch of the current node, without empty and hidden system nodes', async () => {
    const [first] = await Array.fromAsync(readConversations(fixture));
    expect(outline(first!)).toEqual([
      'system ctx',
      'user ask',
      'assistant think',
      'assistant run',
      'tool out',
      'assistant recap',
      'assistant answer',
    ]);
    expect(messagesOf(first!)[1]).toMatchObject({
      content: 'How long is the chain for 48 teeth?',
      createdAt: 1760000001250,
    });
    expect(messagesOf(first!)[6]).toMatchObject({
      content: '**111 cm**, or 88 links.',
      metadata: { model: 'o3' },
    });
  });

  it('turns thoughts into reasoning and custom instructions into a system message', async () => {
    const [first] = await Array.fromAsync(readConversations(fixture));
    const [instructions, , thoughts] = messagesOf(first!);
    expect(instructions?.content).toBe('Runs a bicycle shop.\n\nUse metric units.');
    expect(thoughts?.content).toEqual([{ type: 'reasoning', text: 'Planning\n\nUse the chain formula.' }]);
  });

  it('pairs a tool call with its result, though a thought lies between', async () => {
    const [first] = await Array.fromAsync(readConversations(fixture));
    expectPairs(first!);
    const [call, result] = messagesOf(first!).slice(3, 5);
    expect(call?.content).toEqual([
      {
        type: 'tool-call',
        toolCallId: 'run',
        toolName: 'python',
        input: { code: 'print(2 * 43.5 + 48 / 2)' },
      },
    ]);
    expect(result?.content).toEqual([
      {
        type: 'tool-result',
        toolCallId: 'run',
        toolName: 'python',
        output: { type: 'text', value: '111.0' },
      },
    ]);
    expect(result?.metadata).toMatchObject({
      chatgpt: { metadata: { aggregate_result: { status: 'success' } } },
    });
  });

  it('joins the answers of a tool in one result, and keeps images as parts with their pointer', async () => {
    const [, second] = await Array.fromAsync(readConversations(fixture));
    expectPairs(second!);
    const byId = new Map(messagesOf(second!).map((message) => [message.id, message]));
    expect(byId.get('b1')?.content).toMatchObject([
      { type: 'image_asset_pointer', asset_pointer: 'file-service://file-abc', width: 640 },
      { type: 'text', text: 'What bird is this?' },
    ]);
    expect(byId.get('b3')?.content[0]?.output).toEqual({
      type: 'text',
      value: '# [0] Robins\n\nRobin\nhttps://example.com/robin\nA small bird.',
    });
    expect(byId.get('b3')?.metadata).toMatchObject({ chatgpt: { joined: [{ id: 'b4' }] } });
    expect(byId.get('b5')?.content[0]?.input).toEqual({ prompt: 'a robin', n: 1 });
    expect(byId.get('b6')?.content[0]?.output).toMatchObject({
      type: 'content',
      value: [{ type: 'image_asset_pointer', asset_pointer: 'file-service://file-def' }],
    });
    expect(byId.get('b10')?.content[0]?.output).toEqual({
      type: 'error-text',
      value: 'tool_error: timed out',
    });
  });

  it('makes up the side of a tool exchange that the export lacks, and marks it', async () => {
    const [, second] = await Array.fromAsync(readConversations(fixture));
    expect(outline(second!).slice(-5)).toEqual([
      'user b11',
      'assistant b12:call',
      'tool b12',
      'assistant b13',
      'tool b13:result',
    ]);
    const implied = messagesOf(second!).filter(({ id }) => id?.includes(':'));
    for (const message of implied) expect(message.metadata).toEqual({ chatgpt: { implied: true } });
  });

  it('pairs calls that are answered in another order, but never over a turn of the user', async () => {
    const conversation = await readExport(
      chain(
        user('go'),
        calls('python', '1'),
        calls('web', '2'),
        answers('web', 'two'),
        answers('python', 'one'),
        calls('python', '3'),
        user('stop'),
        answers('python', 'late'),
      ),
    );
    expectPairs(conversation);
    const results = messagesOf(conversation).filter(({ role }) => role === 'tool');
    expect(results.map(({ content }) => content[0]?.output)).toMatchObject([
      { value: 'one' },
      { value: 'two' },
      { type: 'error-text' },
      { value: 'late' },
    ]);
  });

  it.each([
    [{ content_type: 'code', language: 'python', text: 'x = "```"' }, '````python\nx = "```"\n````'],
    [
      { content_type: 'text', parts: ['one', 'two'] },
      [
        { type: 'text', text: 'one' },
        { type: 'text', text: 'two' },
      ],
    ],
    [
      {
        content_type: 'multimodal_text',
        parts: [{ content_type: 'audio_transcription', text: 'hi', direction: 'in' }],
      },
      [{ type: 'text', text: 'hi', providerOptions: { chatgpt: { direction: 'in' } } }],
    ],
    [{ content_type: 'thoughts', thoughts: 'so' }, [{ type: 'reasoning', text: 'so' }]],
    [
      { content_type: 'reasoning_recap', content: 'Thought for 2s' },
      [{ type: 'reasoning', text: 'Thought for 2s' }],
    ],
    [{ content_type: 'some_new_type', text: 'readable', score: 2 }, 'readable'],
    [{ content_type: 'some_new_type', blob: { a: 1 } }, [{ type: 'some_new_type', blob: { a: 1 } }]],
  ])('converts the content %j', async (content, expected) => {
    const conversation = await readExport(chain(user('go'), says(content)));
    expect(messagesOf(conversation)[1]?.content).toEqual(expected);
  });

  it('keeps in metadata what it does not understand', async () => {
    const content = { content_type: 'some_new_type', text: 'readable', score: 2 };
    const message = says(content, {
      status: 'in_progress',
      channel: 'final',
      metadata: { model_slug: 'm', x: [1] },
    });
    const conversation = await readExport(chain(user('go'), message));
    expect(messagesOf(conversation)[1]?.metadata).toEqual({
      model: 'm',
      chatgpt: {
        status: 'in_progress',
        channel: 'final',
        contentType: 'some_new_type',
        content: { score: 2 },
        metadata: { x: [1] },
      },
    });
  });

  it('gives a message without a time that of the one before', async () => {
    const first = { ...user('go'), create_time: 10.5 };
    const conversation = await readExport({ create_time: 1, ...chain(user('early'), first, user('later')) });
    expect(messagesOf(conversation).map(({ createdAt }) => createdAt)).toEqual([1000, 10500, 10500]);
  });

  it('follows the newest branch where no node is the current one', async () => {
    const { current_node: _, ...conversation } = chain(user('a'), user('b'));
    expect(outline(await readExport(conversation))).toEqual(['user n0', 'user n1']);
  });

  it('reads a conversation without nodes, and one whose root is missing', async () => {
    expect((await readExport({ id: 'c', mapping: {} })).messages).toEqual([]);
    const cut = { id: 'c', current_node: 'n', mapping: { n: { parent: 'gone', message: user('a') } } };
    expect(outline(await readExport(cut))).toEqual(['user n']);
  });

  it('keeps nodes with hostile ids apart from the prototype', async () => {
    const text = JSON.stringify({
      id: 'c',
      current_node: 'constructor',
      mapping: {
        constructor: { parent: 'PROTO', message: user('b') },
        PROTO: { parent: null, message: user('a') },
      },
    }).replaceAll('PROTO', '__proto__');
    const path = join(folder, 'hostile.json');
    await writeFile(path, `[${text}]`);
    const [conversation] = await Array.fromAsync(readConversations(path));
    expect(outline(conversation!)).toEqual(['user __proto__', 'user constructor']);
    await expect(readExport({ id: 'c', current_node: 'toString', mapping: { a: {} } })).rejects.toThrow(
      'conversation 1: current_node: is no node of the mapping',
    );
  });

  it('names the node and field that is wrong', async () => {
    const message = { ...user('secret'), create_time: 'noon' };
    await expect(readExport(chain(user('a'), message))).rejects.toThrow(
      /conversation 1: mapping\["n1"\]\.message\.create_time: /,
    );
  });

  it('refuses a circle of parents', async () => {
    const mapping = { a: { parent: 'b' }, b: { parent: 'a' } };
    await expect(readExport({ id: 'c', current_node: 'a', mapping })).rejects.toThrow(
      'the parents form a circle',
    );
  });

  it('reads single conversations too, in a file of their own or one a line', async () => {
    const pretty = join(folder, 'one.json');
    await writeFile(pretty, JSON.stringify(chain(user('a')), null, 2));
    const lines = join(folder, 'many.jsonl');
    await writeFile(lines, `${JSON.stringify(chain(user('a')))}\n${JSON.stringify(chain(user('b')))}\n`);
    expect(await Array.fromAsync(readConversations(pretty), outline)).toEqual([['user n0']]);
    expect(await Array.fromAsync(readConversations(lines), outline)).toEqual([['user n0'], ['user n0']]);
  });
});
