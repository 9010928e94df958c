/** `holdfast/mcp`: the tools of MCP servers as tools of Holdfast. */
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { isHoldfastError } from '../../core/errors.ts';
import type { Tool } from '../../core/tools/tool.ts';
import { Connection } from './connection.ts';
import { loadSdk } from './host.ts';
import { type McpOptions, type McpServer, parseOptions, parseSource, type RefusedTool } from './options.ts';
import { listed, type Source, shownName, toolOf, unusable } from './tools.ts';

export type { McpOptions, McpProcess, McpProgress, McpServer, McpUrl, RefusedTool } from './options.ts';

/**
 * Connects to an MCP server and takes its tools over.
 * @param server how to start it or where it is, or a client of the MCP SDK that is connected already and stays yours
 * @throws InvalidInputError, MissingPackageError, HoldfastError of code `tool-unavailable` for a server that can't be
 * started or reached, and of code `forbidden` for one that refuses us
 */
export async function connectMcpTools(
  server: McpServer | Client,
  options: McpOptions = {},
): Promise<McpTools> {
  const source = parseSource(server);
  const settings = parseOptions(options);
  const sdk = await loadSdk();
  let tools: McpTools | undefined;
  const connection = new Connection(sdk, source, settings, { onStale: () => tools?.refreshSoon() });
  try {
    await connection.open();
    tools = new McpTools({ sdk, connection, settings });
    await tools.refresh();
    return tools;
  } catch (error) {
    await (tools ?? connection).close();
    throw error;
  }
}

/** A tool, and what its server said of it. */
interface Known {
  said: string;
  tool: Tool;
}

/** The tools of one server, as long as it is connected. Follows the server's list as that changes. */
export class McpTools implements AsyncDisposable {
  readonly #source: Source;
  #known = new Map<string, Known>();
  #refused: readonly RefusedTool[] = [];
  #refreshing: Promise<unknown> = Promise.resolve();
  #stale = false;
  #closed = false;

  /** Use {@link connectMcpTools}. */
  constructor(source: Source) {
    this.#source = source;
  }

  /** The server's tools as they were listed last. */
  get tools(): readonly Tool[] {
    return [...this.#known.values()].map(({ tool }) => tool);
  }

  /** Tools of the server that can't be used, and why. */
  get refused(): readonly RefusedTool[] {
    return this.#refused;
  }

  /** Asks the server for its tools now. What did not change keeps its identity. */
  async refresh(): Promise<readonly Tool[]> {
    const turn = this.#refreshing.then(() => this.#refresh());
    this.#refreshing = turn.catch(() => {});
    await turn;
    return this.tools;
  }

  /** The same, in answer to a notification: many of them make one refresh, and what fails is told to `onError`. */
  refreshSoon(): void {
    if (this.#stale || this.#closed) return;
    this.#stale = true;
    queueMicrotask(() => {
      this.refresh().catch((error) => {
        if (!this.#closed) this.#source.settings.onError?.(error);
      });
    });
  }

  /** Ends the connection, and the server where it was started here. Its tools are registered no more. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#source.connection.close();
    try {
      for (const name of this.#known.keys()) this.#source.settings.register?.unregister(name);
    } catch (error) {
      // An engine that is closed has no tools any more.
      if (!isHoldfastError(error) || error.code !== 'closed') throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #refresh(): Promise<void> {
    this.#stale = false;
    const said = await listed(this.#source);
    if (this.#closed) return;
    const before = this.#known;
    const { known, refused } = this.#taken(said);
    this.#known = known;
    this.#refused = refused;
    const same = known.size === before.size && [...known].every(([name, one]) => before.get(name) === one);
    if (!same) this.#source.settings.onChange?.(this.tools);
  }

  /** Makes tools of those that can be used, registers them, and notes why others can't. */
  #taken(said: readonly unknown[]): { known: Map<string, Known>; refused: RefusedTool[] } {
    const known = new Map<string, Known>();
    const refused: RefusedTool[] = [];
    const left = new Map(this.#known);
    const { register } = this.#source.settings;
    for (const one of said) {
      try {
        const taken = this.#knownOf(one);
        if (!taken) continue;
        const { name } = taken.tool;
        if (known.has(name)) throw unusable('name', `is that of another tool of this server: ${name}`);
        const before = left.get(name);
        if (before !== taken) register?.register(taken.tool, { replace: before !== undefined });
        left.delete(name);
        known.set(name, taken);
      } catch (error) {
        if (!isHoldfastError(error)) throw error;
        refused.push({ name: shownName(one), reason: error.message });
      }
    }
    for (const name of left.keys()) register?.unregister(name);
    return { known, refused };
  }

  /** The same as before, where the server says the same. */
  #knownOf(told: unknown): Known | undefined {
    const said = JSON.stringify(told);
    const before = [...this.#known.values()].find((known) => known.said === said);
    if (before) return before;
    const tool = toolOf(told, this.#source);
    return tool && { said, tool };
  }
}
