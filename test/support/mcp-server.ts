/** An MCP server whose tools do what a client has to cope with. Run as a program, it speaks over stdio. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import {
  CallToolRequestSchema,
  type CallToolResult,
  ListToolsRequestSchema,
  type ListToolsResult,
} from '@modelcontextprotocol/sdk/types.js';

const PAGE = 3;
const anything = { type: 'object' };
const number = { type: 'number' };

const tools: Record<string, unknown>[] = [
  {
    name: 'add',
    description: 'Adds two numbers',
    inputSchema: { type: 'object', properties: { a: number, b: number }, required: ['a', 'b'] },
    outputSchema: { type: 'object', properties: { sum: number }, required: ['sum'] },
  },
  {
    name: 'shout',
    description: 'Says it louder',
    inputSchema: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
    annotations: { readOnlyHint: true },
  },
  { name: 'picture', inputSchema: anything },
  { name: 'fail', inputSchema: anything },
  { name: 'reject', inputSchema: anything },
  {
    name: 'lie',
    inputSchema: anything,
    outputSchema: { type: 'object', properties: { sum: number }, required: ['sum'] },
  },
  { name: 'gibberish', inputSchema: anything },
  { name: 'wait', inputSchema: anything },
  { name: 'cancelled', inputSchema: anything },
  { name: 'environment', inputSchema: anything },
  { name: 'die', inputSchema: anything },
  { name: 'grow', inputSchema: anything },
  { name: 'shrink', inputSchema: anything },
];

/** Of the tools that every such server has. */
export const toolNames = tools.map(({ name }) => String(name));

const hostile: Record<string, unknown>[] = [
  { name: '../../etc/passwd', inputSchema: anything },
  { name: '.. .. etc passwd', inputSchema: anything },
  { name: '__proto__', inputSchema: anything },
  { name: '', inputSchema: anything },
  { name: 7, inputSchema: anything },
  { name: `long-${'x'.repeat(500)}`, inputSchema: anything },
  { name: 'twin', inputSchema: anything },
  { name: 'twin', inputSchema: anything },
  { name: 'no-object', inputSchema: { type: 'array' } },
  { name: 'no-schema' },
  { name: 'not-compiling', inputSchema: { type: 'object', properties: { a: { type: 'nonsense' } } } },
  { name: 'elsewhere', inputSchema: { type: 'object', $ref: 'http://127.0.0.1:9/schema.json' } },
  { name: 'bad-output', inputSchema: anything, outputSchema: { type: 'object', required: 'all' } },
  { name: 'huge-schema', inputSchema: { type: 'object', description: 'x'.repeat(1_000_000) } },
  { name: 'hidden', description: `Reads\u{e0041}\u{e0042}\u202e a file\u0000.\u200b`, inputSchema: anything },
  { name: 'wordy', description: 'word '.repeat(100_000), inputSchema: anything },
  null as never,
];

export interface FixtureOptions {
  name?: string;
  hostile?: boolean;
  /** Its list of tools goes on for ever. */
  endless?: boolean;
}

export function mcpServer(options: FixtureOptions = {}): Server {
  const server = new Server(
    { name: options.name ?? 'fixture', version: '1.0.0' },
    { capabilities: { tools: { listChanged: true } } },
  );
  const offered = [...tools, ...(options.hostile ? hostile : [])];
  const cancelled: string[] = [];

  server.setRequestHandler(ListToolsRequestSchema, ({ params }) => {
    const from = Number(params?.cursor ?? 0);
    const more = options.endless || from + PAGE < offered.length;
    const page = offered.slice(from, from + PAGE);
    const result = {
      tools: page,
      ...(more ? { nextCursor: String(options.endless ? 1 : from + PAGE) } : {}),
    };
    return result as unknown as ListToolsResult;
  });

  server.setRequestHandler(
    CallToolRequestSchema,
    async ({ params }, { signal, sendNotification, requestId }) => {
      const input: Record<string, unknown> = params.arguments ?? {};
      const progressToken = params._meta?.progressToken;
      switch (params.name) {
        case 'add': {
          const sum = Number(input.a) + Number(input.b);
          return { structuredContent: { sum }, content: [{ type: 'text', text: JSON.stringify({ sum }) }] };
        }
        case 'shout':
          return text(String(input.text).toUpperCase());
        case 'picture':
          return picture;
        case 'fail':
          return { ...text('the kettle is empty'), isError: true };
        case 'reject':
          throw new Error('no such kettle');
        case 'lie':
          return { structuredContent: { sum: 'many' }, content: [] };
        case 'gibberish': {
          // Past the SDK, which sends no such answer.
          const result = { content: [{ type: 'smell', strength: 'much' }] };
          process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id: requestId, result })}\n`);
          return text('too late');
        }
        case 'wait':
          signal.addEventListener('abort', () => cancelled.push(String(input.id)));
          for (let progress = 1; !signal.aborted; progress++) {
            const step = { progressToken: progressToken ?? 0, progress, message: `step ${progress}` };
            if (progressToken !== undefined) {
              await sendNotification({ method: 'notifications/progress', params: step });
            }
            await sleep(5);
          }
          return text('given up');
        case 'cancelled':
          return text(cancelled.join());
        case 'environment':
          return text(JSON.stringify(process.env));
        case 'die':
          return process.exit(1);
        case 'grow':
        case 'shrink':
          if (params.name === 'grow') offered.push({ name: 'grown', inputSchema: anything });
          else offered.splice(0, offered.length, ...offered.filter(({ name }) => name !== 'grown'));
          await server.sendToolListChanged();
          return text('done');
        default:
          return text(`called ${params.name}`);
      }
    },
  );
  return server;
}

const picture: CallToolResult = {
  content: [
    { type: 'text', text: 'a dot' },
    { type: 'image', data: 'iVBORw0KGgo=', mimeType: 'image/png' },
    { type: 'resource_link', uri: 'file:///dots/1.png', name: 'the dot' },
    { type: 'resource', resource: { uri: 'file:///dots/1.txt', text: '.' } },
  ],
};

function text(value: string): CallToolResult {
  return { content: [{ type: 'text', text: value }] };
}

if (import.meta.main) {
  const options = {
    hostile: process.argv.includes('--hostile'),
    endless: process.argv.includes('--endless'),
  };
  await mcpServer(options).connect(new StdioServerTransport());
}
