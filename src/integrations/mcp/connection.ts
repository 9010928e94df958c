import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';
import type { RequestOptions } from '@modelcontextprotocol/sdk/shared/protocol.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { ClientRequest } from '@modelcontextprotocol/sdk/types.js';
import { ClosedError } from '../../core/errors.ts';
import { timed } from '../../core/timed.ts';
import { boundedFetch } from './bounded-fetch.ts';
import { failureOf, goneError, isTransient, wasNotTaken } from './failures.ts';
import type { Sdk } from './host.ts';
import { isClient, type Settings, type Source } from './options.ts';

/** How long a server may take to say that it is there, or to take note of a farewell (milliseconds). */
const SHORT_MS = 2000;

type Schema = Parameters<Client['request']>[1];

export interface ConnectionEvents {
  /** The server's list of tools is another, or may be since a connection was made anew. */
  onStale(): void;
}

/** One connection to one server, made anew by the next request after it broke. */
export class Connection {
  readonly #sdk: Sdk;
  readonly #source: Source;
  readonly #settings: Settings;
  readonly #events: ConnectionEvents;
  readonly #closing = new AbortController();
  #client: Client | undefined;
  #connecting: Promise<Client> | undefined;
  #probing: Promise<void> | undefined;

  constructor(sdk: Sdk, source: Source, settings: Settings, events: ConnectionEvents) {
    this.#sdk = sdk;
    this.#source = source;
    this.#settings = settings;
    this.#events = events;
  }

  /** The first connection: tried once. */
  async open(): Promise<void> {
    if (isClient(this.#source)) {
      if (!this.#source.transport) throw goneError(false);
      this.#client = this.#source;
      this.#listen(this.#source);
    } else {
      this.#client = await this.#connect(1);
    }
  }

  /** Whether the server says that it has tools. */
  get hasTools(): boolean {
    return this.#client?.getServerCapabilities()?.tools !== undefined;
  }

  get serverName(): string | undefined {
    return this.#client?.getServerVersion()?.name;
  }

  /**
   * Sends a request and awaits its answer. One that was sent when the connection broke is not sent again, since it may
   * have been done; one that the server has not taken is.
   * @throws HoldfastError with a code of ours for all that may go wrong, the signal's reason when that is aborted
   */
  async request<S extends Schema>(request: ClientRequest, schema: S, options: RequestOptions) {
    this.#closing.signal.throwIfAborted();
    const client = await this.#ready();
    try {
      return await client.request(request, schema, options);
    } catch (error) {
      if (!wasNotTaken(error) || !this.#mayReconnect) throw this.#failureOf(error, client);
    }
    await this.#drop(client);
    const next = await this.#ready();
    try {
      return await next.request(request, schema, options);
    } catch (error) {
      throw this.#failureOf(error, next);
    }
  }

  /** Ends a server that was started here, and takes leave of one that was not. A client that was given stays open. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new ClosedError('connection to the MCP server'));
    const client = this.#client ?? (await this.#connecting?.catch(() => undefined));
    if (!client) return;
    if (isClient(this.#source)) {
      client.removeNotificationHandler('notifications/tools/list_changed');
      return;
    }
    await endSession(client);
    await client.close();
  }

  get #mayReconnect(): boolean {
    return !isClient(this.#source) && this.#settings.reconnect !== false;
  }

  #failureOf(error: unknown, client: Client): unknown {
    if (this.#closing.signal.aborted) return this.#closing.signal.reason;
    return failureOf(error, { gone: client.transport === undefined, mayReconnect: this.#mayReconnect });
  }

  async #ready(): Promise<Client> {
    // What is sent over a connection of which that is asked ends with it, where it turns out to be gone.
    await this.#probing;
    if (this.#client?.transport) return this.#client;
    const { reconnect } = this.#settings;
    if (isClient(this.#source) || !reconnect) throw goneError(false);
    this.#connecting ??= this.#connect(reconnect.attempts)
      .then((client) => {
        this.#client = client;
        this.#events.onStale();
        return client;
      })
      .finally(() => {
        this.#connecting = undefined;
      });
    return this.#connecting;
  }

  async #connect(attempts: number): Promise<Client> {
    const { signal } = this.#closing;
    const delayMs = this.#settings.reconnect ? this.#settings.reconnect.delayMs : 0;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#connectOnce();
      } catch (error) {
        signal.throwIfAborted();
        const failure = failureOf(error, { connecting: true });
        if (attempt >= attempts || !isTransient(failure)) throw failure;
        await sleep(delayMs * 2 ** (attempt - 1), undefined, { signal });
      }
    }
  }

  async #connectOnce(): Promise<Client> {
    const client = new this.#sdk.Client({ name: 'holdfast', version: '1' }, { capabilities: {} });
    this.#listen(client);
    const transport = this.#transport();
    const { connectTimeoutMs: timeoutMs } = this.#settings;
    try {
      const { signal } = this.#closing;
      await timed((inner) => client.connect(transport, { timeout: timeoutMs, signal: inner }), {
        timeoutMs,
        signal,
      });
    } catch (error) {
      await client.close();
      throw error;
    }
    if ('url' in this.#source) client.onerror = () => this.#probe(client);
    return client;
  }

  #transport(): Transport {
    const source = this.#source as Exclude<Source, Client>;
    if ('url' in source) {
      const requestInit = source.headers ? { headers: source.headers } : {};
      // Its optional fields may be undefined, which the interface does not say.
      const options = { requestInit, fetch: boundedFetch };
      return new this.#sdk.StreamableHTTPClientTransport(new URL(source.url), options) as Transport;
    }
    const { command, args = [], env = {}, cwd, stderr = 'ignore' } = source;
    return new this.#sdk.StdioClientTransport({
      command,
      args,
      env,
      stderr,
      ...(cwd !== undefined && { cwd }),
    });
  }

  #listen(client: Client): void {
    const { ToolListChangedNotificationSchema } = this.#sdk.types;
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => this.#events.onStale());
  }

  /**
   * Over HTTP nothing tells that a server died while it owed an answer. When something goes wrong it is asked whether it
   * is there, and without an answer the connection is closed, which ends all that wait.
   */
  #probe(client: Client): void {
    client.onerror = () => {};
    this.#probing = client
      .ping({ timeout: SHORT_MS })
      .then(
        () => {
          client.onerror = () => this.#probe(client);
        },
        () => this.#drop(client),
      )
      .finally(() => {
        this.#probing = undefined;
      });
  }

  async #drop(client: Client): Promise<void> {
    client.onerror = () => {};
    await client.close().catch(() => {});
  }
}

/** Tells an HTTP server that its session is over. One that does not listen holds nobody up. */
async function endSession({ transport }: Client): Promise<void> {
  const session = transport as { terminateSession?(): Promise<void> } | undefined;
  if (!session?.terminateSession) return;
  const { signal } = new AbortController();
  await timed(() => session.terminateSession!(), { timeoutMs: SHORT_MS, signal }).catch(() => {});
}
