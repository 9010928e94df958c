/** What a route is: a line of the API's description and the call that answers it. */
import type { HttpBindings } from '@hono/node-server';
import { type OpenAPIHono, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { ContextEngine } from '../core/engine.ts';
import { badRequest, plain } from './errors.ts';
import { readIfVersion, readJson, readParams, readQuery, readTenant, requireObject } from './requests.ts';
import { ErrorAnswer, IfVersion, TenantHeader } from './schemas.ts';

/** What Hono carries with a request: Node's own objects where it listens itself, and what the log tells of it. */
export interface ServerEnv {
  Bindings: Partial<HttpBindings>;
  Variables: { route?: string; params?: Record<string, string> };
}

export interface RouteContext {
  engine: ContextEngine;
  maxBodyBytes: number;
}

type ParamNames<P extends string> = P extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ParamNames<Rest>
  : never;

/** JSON and queries have no `undefined`: a field is there or it is not. */
type Given<T> = T extends object ? { [K in keyof T]: Exclude<T[K], undefined> } : T;

/** A request, read. `body` is what the client sent, in the shape of its schema only as far as the core finds it so. */
export interface Call<P extends string = string, Q = Record<string, unknown>, B = unknown> {
  /** Of the request's tenant. */
  engine: ContextEngine;
  params: Record<ParamNames<P>, string>;
  query: Q;
  body: B;
  /** From `If-Match` or `ifVersion`, for routes that are `conditional`. */
  condition: { ifVersion?: number };
  request: Request;
}

export interface Route<
  P extends string = string,
  Q extends z.ZodObject = z.ZodObject,
  B extends z.ZodType = z.ZodType,
> {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  path: P;
  /** What it does, in a line. */
  summary: string;
  query?: Q;
  /** Described for readers; the core checks. */
  body?: B;
  /** The body may be left out, and counts as `{}`. */
  bodyOptional?: boolean;
  /** Takes `If-Match` and `ifVersion`. */
  conditional?: boolean;
  /** 200 where absent. */
  status?: 200 | 201;
  answer: z.ZodType;
  /** `application/json` where absent. */
  answerType?: string;
  /** What it gives is sent as JSON, with its `version` as ETag; a `Response` is sent as it is. */
  handle(call: Call<P, Given<z.output<Q>>, Given<z.output<B>>>): unknown;
}

const noQuery = z.strictObject({});

/** Says a route; the names in its path become those of `params`. */
export function route<
  const P extends string,
  Q extends z.ZodObject = typeof noQuery,
  B extends z.ZodType = z.ZodUndefined,
>(spec: Route<P, Q, B>): Route {
  return spec as unknown as Route;
}

/** Puts routes into an app and its OpenAPI description. */
export function mount(app: OpenAPIHono<ServerEnv>, routes: readonly Route[], context: RouteContext): void {
  for (const one of routes) {
    const query = queryOf(one);
    describe(app, one, query);
    app.on(one.method, one.path.replaceAll(/\{(\w+)\}/g, ':$1'), async (c) => {
      c.set('route', one.path);
      c.set('params', c.req.param());
      return answer(one, await one.handle(await read(c, one, query, context)));
    });
  }
}

function queryOf({ query = noQuery, conditional }: Route): z.ZodObject {
  return conditional ? query.extend({ ifVersion: IfVersion }) : query;
}

async function read(
  c: Context<ServerEnv>,
  one: Route,
  querySchema: z.ZodObject,
  { engine, maxBodyBytes }: RouteContext,
): Promise<Call> {
  const request = c.req.raw;
  const { headers } = request;
  const params = readParams(c.req.param());
  const { ifVersion, ...query } = readQuery(request.url, querySchema);
  const match = headers.get('if-match');
  if (match !== null && !one.conditional) throw badRequest('If-Match', 'is not taken here');
  const condition = one.conditional ? readIfVersion(match, ifVersion) : {};
  const tenant = readTenant(headers.get('holdfast-tenant'));
  return {
    engine: tenant === undefined ? engine : engine.tenant(tenant),
    params,
    query,
    body: one.method === 'get' ? undefined : await readBody(request, one, maxBodyBytes),
    condition,
    request,
  };
}

async function readBody(request: Request, one: Route, maxBytes: number): Promise<unknown> {
  const given = await readJson(request, maxBytes);
  if (!one.body) {
    // A body that nobody reads would be a silent no-op; an empty object says nothing.
    if (given === undefined || JSON.stringify(given) === '{}') return undefined;
    throw badRequest('body', 'is not taken here');
  }
  if (given === undefined && one.bodyOptional) return {};
  if (given === undefined) throw badRequest('body', 'is missing');
  if (!(one.body instanceof z.ZodUnknown)) requireObject(given);
  return given;
}

function answer({ status = 200 }: Route, value: unknown): Response {
  if (value instanceof Response) return value;
  const version = (value as { version?: unknown } | undefined)?.version;
  const etag = typeof version === 'number' ? { etag: `"${version}"` } : {};
  return Response.json(value, { status, headers: { ...plain, ...etag } });
}

function describe(app: OpenAPIHono<ServerEnv>, one: Route, query: z.ZodObject): void {
  const { method, path, summary, body, bodyOptional, status = 200, answerType = 'application/json' } = one;
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
  const [, , resource = 'server', , sub = resource] = path.split('/');
  app.openAPIRegistry.registerPath({
    method,
    path,
    summary,
    tags: [/^\w+$/.test(sub) ? sub : resource],
    request: {
      ...(names.length > 0 && {
        params: z.object(Object.fromEntries(names.map((name) => [name, z.string()]))),
      }),
      query,
      headers: TenantHeader,
      ...(body && {
        body: { required: !bodyOptional, content: { 'application/json': { schema: body } } },
      }),
    },
    responses: {
      [status]: { description: summary, content: { [answerType]: { schema: one.answer } } },
      default: {
        description: 'What went wrong',
        content: { 'application/json': { schema: ErrorAnswer } },
      },
    },
  });
}
