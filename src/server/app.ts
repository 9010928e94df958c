/** The API as a fetch handler: for `startServer`, for tests, and for programs with a server of their own. */
import { OpenAPIHono } from '@hono/zod-openapi';
import type { Context, MiddlewareHandler } from 'hono';
import type { ContextEngine } from '../core/engine.ts';
import { isHoldfastError, quote } from '../core/errors.ts';
import { loggable } from '../core/logger.ts';
import { errorResponse, HttpError, plain } from './errors.ts';
import { checkPath } from './requests.ts';
import { mount, type ServerEnv } from './route.ts';
import { channelRoutes } from './routes/channels.ts';
import { compactionRoutes } from './routes/compactions.ts';
import { eventRoutes } from './routes/events.ts';
import { healthRoutes } from './routes/health.ts';
import { leaseRoutes } from './routes/leases.ts';
import { memoryRoutes } from './routes/memory.ts';
import { messageRoutes } from './routes/messages.ts';
import { monitorRoutes } from './routes/monitor.ts';
import { searchRoutes } from './routes/search.ts';
import { sessionRoutes } from './routes/sessions.ts';
import { stateRoutes } from './routes/state.ts';
import { taskRoutes } from './routes/tasks.ts';
import { toolRoutes } from './routes/tools.ts';
import { usageRoutes } from './routes/usage.ts';
import { windowRoutes } from './routes/windows.ts';
import { sameOrigin } from './same-origin.ts';

/** Takes fields and a message, as pino does. It is told ids, never content. */
export interface ServerLogger {
  info(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
}

export interface AppOptions {
  /**
   * The hosts that requests may be for, beside loopback ones such as `localhost`: names and addresses without ports.
   * Any where absent, but `startServer` knows its own.
   */
  allowedHosts?: readonly string[];
  /** Hears of each request, and of what fails. */
  logger?: ServerLogger;
  /** The largest body that is read (bytes; 32 MiB). */
  maxBodyBytes?: number;
  /** How often an event stream without events sends a comment (milliseconds; 15 000). */
  pingIntervalMs?: number;
  /** Ends event streams when it is aborted: they would hold up a stop forever. */
  stopping?: AbortSignal;
}

/** The app: `fetch(request)` answers. It can be mounted in another Hono app as well. */
export type App = OpenAPIHono<ServerEnv>;

const MIB = 1024 * 1024;

/**
 * Makes the HTTP API of an engine. The engine stays the caller's to close.
 * @throws ConfigError when one of `allowedHosts` is no name or address
 */
export function createApp(engine: ContextEngine, options: AppOptions = {}): App {
  const { allowedHosts, logger, maxBodyBytes = 32 * MIB, pingIntervalMs = 15_000, stopping } = options;
  const app: App = new OpenAPIHono<ServerEnv>();
  if (logger) app.use(logged(logger));
  app.use(sameOrigin(allowedHosts));
  app.use(checkedPath);
  if (stopping) app.use(lastAnswer(stopping));
  const context = { engine, maxBodyBytes };
  const streams = { pingIntervalMs, stopping: stopping ?? new AbortController().signal };
  for (const routes of [
    healthRoutes,
    monitorRoutes,
    sessionRoutes,
    leaseRoutes,
    messageRoutes,
    memoryRoutes,
    searchRoutes,
    channelRoutes,
    stateRoutes,
    windowRoutes,
    compactionRoutes,
    usageRoutes,
    taskRoutes,
    toolRoutes,
    eventRoutes(streams),
  ]) {
    mount(app, routes, context);
  }
  describeApi(app);
  app.notFound((c) => errorResponse(noRoute(app, c)));
  app.onError((error) => errorResponse(error));
  return app;
}

const checkedPath: MiddlewareHandler<ServerEnv> = (c, next) => {
  // As the client sent it, where Node tells: a URL object has resolved the dots already.
  checkPath(c.env?.incoming?.url ?? new URL(c.req.url).pathname);
  return next();
};

/** One line a request: the route with its ids, never the query or what is in a body. */
function logged(logger: ServerLogger): MiddlewareHandler<ServerEnv> {
  return async (c, next) => {
    const start = performance.now();
    await next();
    const fields = {
      method: c.req.method,
      route: c.get('route') ?? null,
      ...c.get('params'),
      status: c.res.status,
      ms: Math.round((performance.now() - start) * 10) / 10,
    };
    const error = c.error;
    if (c.res.status >= 500)
      logger.error({ ...fields, ...(error && { error: loggable(error) }) }, 'request failed');
    else logger.info({ ...fields, ...(isHoldfastError(error) && { code: error.code }) }, 'request');
  };
}

/** While the server stops, a connection ends with its answer. */
function lastAnswer(stopping: AbortSignal): MiddlewareHandler<ServerEnv> {
  return async (c, next) => {
    await next();
    if (stopping.aborted) c.res.headers.set('connection', 'close');
  };
}

function describeApi(app: App): void {
  let document: ReturnType<App['getOpenAPI31Document']> | undefined;
  app.get('/openapi.json', () => {
    document ??= app.getOpenAPI31Document({
      openapi: '3.1.0',
      info: { title: 'Holdfast', version: '1', description: 'The context engine for AI agents, over HTTP.' },
    });
    return Response.json(document, { headers: plain });
  });
}

/** The error for a path that has no route, or none for the method. */
function noRoute(app: App, c: Context<ServerEnv>): unknown {
  const { method, path } = c.req;
  const allowed = app.openAPIRegistry.definitions.flatMap((definition) =>
    definition.type === 'route' && pathPattern(definition.route.path).test(path)
      ? [definition.route.method.toUpperCase()]
      : [],
  );
  if (path === '/openapi.json') allowed.push('GET');
  const hint = 'GET /openapi.json lists all routes.';
  if (allowed.length === 0) {
    return new HttpError(404, 'not-found', `there is nothing at ${quote(path)}`, { hint });
  }
  const allow = allowed.join(', ');
  return new HttpError(405, 'unsupported', `${method} is not allowed here, only ${allow}`, {
    hint,
    headers: { allow },
  });
}

function pathPattern(path: string): RegExp {
  return new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`);
}
