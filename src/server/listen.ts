import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import type { ContextEngine } from '../core/engine.ts';
import { ConfigError } from '../core/errors.ts';
import { type AppOptions, createApp } from './app.ts';
import { badRequest, errorResponse } from './errors.ts';
import { hostsOf } from './same-origin.ts';

export interface ServerOptions extends Omit<AppOptions, 'allowedHosts' | 'stopping'> {
  /**
   * Hosts that requests may be for beside loopback ones and `host`, such as a proxy's. A server on every address
   * (`0.0.0.0`, `::`) takes any where absent.
   */
  allowedHosts?: readonly string[];
  /** Where to listen; 127.0.0.1 where absent, which only this machine reaches. */
  host?: string;
  /** 7420 where absent; 0 takes any that is free. */
  port?: number;
  /** How long `close` waits for requests under way (milliseconds; 5000). Then their connections are cut. */
  closeTimeoutMs?: number;
}

export interface RunningServer {
  /** `http://127.0.0.1:7420` */
  readonly url: string;
  readonly port: number;
  /**
   * Takes no new connections, ends event streams, finishes the requests under way, then resolves. The engine stays
   * open: close it afterwards.
   */
  close(): Promise<void>;
}

/** How often connections that have become idle are looked for during a stop. */
const IDLE_CHECK_MS = 50;

/**
 * Serves an engine over HTTP.
 * @throws ConfigError when the port is taken, the host is none of this machine's, or an allowed host is none
 */
export async function startServer(
  engine: ContextEngine,
  options: ServerOptions = {},
): Promise<RunningServer> {
  const { host = '127.0.0.1', port = 7420, closeTimeoutMs = 5000, ...appOptions } = options;
  const allowedHosts = hostsOf(host, options.allowedHosts);
  const stopping = new AbortController();
  const app = createApp(engine, {
    ...appOptions,
    ...(allowedHosts && { allowedHosts }),
    stopping: stopping.signal,
  });
  const listener = getRequestListener(app.fetch, {
    // A library does not replace the globals of the program it runs in.
    overrideGlobalObjects: false,
    errorHandler: () => errorResponse(badRequest('request', 'has no path and host that make a URL')),
  });
  const server = createServer((request, response) => void listener(request, response));
  const closeIdle = idleCloser(server);
  await listen(server, host, port);
  const address = server.address() as AddressInfo;
  let closed: Promise<void> | undefined;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    port: address.port,
    close() {
      stopping.abort();
      closed ??= stop(server, closeIdle, closeTimeoutMs);
      return closed;
    },
  };
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new ConfigError([{ path: 'port', message: 'must be a whole number from 0 to 65535' }]);
  }
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host, port }, resolve);
  try {
    await promise;
  } catch (error) {
    throw cannotListen(error as NodeJS.ErrnoException, host, port);
  }
  server.off('error', reject);
}

function cannotListen(error: NodeJS.ErrnoException, host: string, port: number): ConfigError {
  const problems: Record<string, { path: string; message: string }> = {
    EADDRINUSE: { path: 'port', message: `${port} is in use by another program` },
    EACCES: { path: 'port', message: `${port} may not be used without more rights` },
    EADDRNOTAVAIL: { path: 'host', message: 'is no address of this machine' },
    ENOTFOUND: { path: 'host', message: 'is not known' },
  };
  const issue = problems[error.code ?? ''] ?? {
    path: 'host',
    message: `can't be listened on (${error.code})`,
  };
  return new ConfigError([issue], {
    cause: error,
    hint: 'Choose another host or port; port 0 takes any that is free.',
    details: { host, port },
  });
}

async function stop(server: Server, closeIdle: () => void, timeoutMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  closeIdle();
  // A connection whose answer was on its way when the stop began is kept alive after it.
  const idle = setInterval(closeIdle, IDLE_CHECK_MS);
  const patience = setTimeout(() => server.closeAllConnections(), timeoutMs);
  await promise;
  clearInterval(idle);
  clearTimeout(patience);
}

/** Closes connections that wait for nothing. Node's own way leaves those on which nothing was ever sent. */
function idleCloser(server: Server): () => void {
  const unused = new Set<Socket>();
  server.on('connection', (socket) => {
    unused.add(socket);
    socket.once('close', () => unused.delete(socket));
  });
  server.on('request', ({ socket }) => unused.delete(socket));
  return () => {
    server.closeIdleConnections();
    for (const socket of unused) if (socket.bytesRead === 0) socket.destroy();
  };
}
