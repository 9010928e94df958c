/** What MCP tools are connected with. */
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { Tool as McpTool } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';
import { parseInput } from '../../core/input.ts';
import { MAX_TIMER_MS } from '../../core/store-options.ts';
import type { Tool, ToolOverrides } from '../../core/tools/tool.ts';

/** A server that is started as a child process and spoken to over its standard input and output. */
export interface McpProcess {
  command: string;
  args?: readonly string[];
  /**
   * The child's environment besides `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL` and `TERM`. Nothing else of ours is
   * handed on: what the server needs to know has to be named here.
   */
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  /** What becomes of what it writes to standard error: dropped (`ignore`, the default) or shown with ours. */
  stderr?: 'ignore' | 'inherit';
}

/** A server that is spoken to over streamable HTTP. */
export interface McpUrl {
  url: string | URL;
  /** Sent with every request: `{ authorization: 'Bearer …' }`. */
  headers?: Readonly<Record<string, string>>;
}

export type McpServer = McpProcess | McpUrl;

/** A tool that can't be used, and why. */
export interface RefusedTool {
  name: string;
  reason: string;
}

/** How far a call has come, as its server tells. */
export interface McpProgress {
  tool: string;
  toolCallId?: string;
  progress: number;
  total?: number;
  message?: string;
}

/** What holds tools for a program: `engine.tools`. */
export interface ToolRegistry {
  register(tool: Tool, options: { replace: boolean }): unknown;
  unregister(name: string): unknown;
}

export interface McpOptions {
  /** Put before the name of each tool, so that those of two servers don't clash: `files_`. */
  prefix?: string;
  /**
   * What to set of the tools besides what the server says: for all, or for each (`false` leaves it out). What a server
   * says of itself is no ground for trust: permissions, and whether a tool may be called twice, are yours to say.
   */
  overrides?: ToolOverrides | ((tool: McpTool) => ToolOverrides | false);
  /** Where to keep the tools registered, as the server adds and removes some: `engine.tools`. */
  register?: ToolRegistry;
  /** Hears that the server's tools are others now. */
  onChange?(tools: readonly Tool[]): void;
  /** Hears of progress. Servers are asked to tell of it only where this is given. */
  onProgress?(progress: McpProgress): void;
  /** Hears what went wrong beside any call: a refresh that failed. */
  onError?(error: unknown): void;
  /** How long a server may take to start and to list its tools (milliseconds; 30 000). */
  connectTimeoutMs?: number;
  /**
   * A connection that broke is made anew by the next call: tried `attempts` times (3), `delayMs` (250) after the first
   * failure and twice as long after each further one. `false`: never. A client of your own is yours to connect.
   */
  reconnect?: { attempts?: number; delayMs?: number } | false;
}

const func = <T extends (...args: never[]) => unknown>() =>
  z.custom<T>((value) => typeof value === 'function', 'expected a function');

const optionsSchema = z.strictObject({
  prefix: z.string().max(32).optional(),
  overrides: z
    .custom<NonNullable<McpOptions['overrides']>>(
      (value) => typeof value === 'function' || (typeof value === 'object' && value !== null),
      'expected an object or a function',
    )
    .optional(),
  register: z
    .custom<ToolRegistry>(
      (value) => typeof (value as Partial<ToolRegistry> | null)?.unregister === 'function',
      'expected engine.tools',
    )
    .optional(),
  onChange: func<NonNullable<McpOptions['onChange']>>().optional(),
  onProgress: func<NonNullable<McpOptions['onProgress']>>().optional(),
  onError: func<NonNullable<McpOptions['onError']>>().optional(),
  connectTimeoutMs: z.int().min(1).max(MAX_TIMER_MS).default(30_000),
  reconnect: z
    .union([
      z.literal(false),
      z.strictObject({
        attempts: z.int().min(1).max(100).default(3),
        delayMs: z.int().min(0).max(60_000).default(250),
      }),
    ])
    .default({ attempts: 3, delayMs: 250 }),
});

const texts = z.record(z.string(), z.string());
const sourceSchema = z.union([
  z.custom<Client>(isClient, 'expected a connected Client, {command, …} or {url, …}'),
  z.strictObject({
    command: z.string().min(1),
    args: z.array(z.string()).optional(),
    env: texts.optional(),
    cwd: z.string().optional(),
    stderr: z.enum(['ignore', 'inherit']).optional(),
  }),
  z.strictObject({
    url: z.union([z.url({ protocol: /^https?$/ }), z.instanceof(URL)]),
    headers: texts.optional(),
  }),
]);

export type Source = z.output<typeof sourceSchema>;
export type Settings = z.output<typeof optionsSchema>;

/** @throws InvalidInputError */
export function parseSource(source: unknown): Source {
  return parseInput(sourceSchema, source, 'connectMcpTools: server');
}

/** @throws InvalidInputError */
export function parseOptions(options: unknown): Settings {
  return parseInput(optionsSchema, options, 'connectMcpTools: options');
}

/** By its look: two copies of the SDK may be loaded. */
export function isClient(value: unknown): value is Client {
  const client = value as Partial<Client> | null | undefined;
  return typeof client?.request === 'function' && typeof client.setNotificationHandler === 'function';
}
