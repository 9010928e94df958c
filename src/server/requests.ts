/** Reading requests: what HTTP says as text becomes the values that the core checks. */
import type { z } from '@hono/zod-openapi';
import { type InputIssue, InvalidInputError } from '../core/errors.ts';
import { kindOf } from '../core/ids.ts';
import { idSchema, parseInput } from '../core/input.ts';
import { badRequest, HttpError } from './errors.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });
const jsonType = /^application\/([\w.-]+\+)?json\s*(;\s*charset="?utf-?8"?\s*)?$/i;

/**
 * Refuses a path that could be read in two ways: bad percent-encoding, and `.` and `..` as segments, which clients,
 * proxies and servers resolve each at another moment.
 * @param target the request's target as it was sent
 */
export function checkPath(target: string): void {
  const path = target.split('?', 1)[0]!;
  try {
    decodeURIComponent(path);
  } catch {
    throw badRequest('path', 'is not UTF-8 in percent-encoding');
  }
  const dots = path.split('/').some((segment) => /^(\.|%2e){1,2}$/i.test(segment));
  if (dots) throw badRequest('path', "must not have '.' or '..' as a segment: such ids have no address");
}

/** Ids from the path, decoded by the router. Every one is checked, whatever a service does with it. */
export function readParams(params: Record<string, string>): Record<string, string> {
  const issues: InputIssue[] = [];
  for (const [path, id] of Object.entries(params)) {
    const { error } = idSchema.safeParse(id);
    for (const { message } of error?.issues ?? []) issues.push({ path, message });
  }
  if (issues.length > 0) throw new InvalidInputError('bad path', issues);
  return params;
}

/** The query's fields by their schema. Unknown and repeated ones are errors: nothing is silently left aside. */
export function readQuery<S extends z.ZodObject>(url: string, schema: S): z.output<S> {
  const { searchParams } = new URL(url);
  const repeated = [...new Set(searchParams.keys())].filter((key) => searchParams.getAll(key).length > 1);
  if (repeated.length > 0) {
    throw new InvalidInputError(
      'bad query',
      repeated.map((path) => ({ path, message: 'is given more than once' })),
    );
  }
  return parseInput(schema, Object.fromEntries(searchParams), 'bad query');
}

/**
 * The tenant that a request is for. The header's value is percent-encoded, so that every name can be sent.
 * @throws InvalidInputError
 */
export function readTenant(header: string | null): string | undefined {
  if (header === null) return undefined;
  try {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what is asked is whether it is ASCII
    if (/^[\x00-\x7f]*$/.test(header)) return decodeURIComponent(header);
  } catch {}
  throw badRequest('Holdfast-Tenant', 'is not UTF-8 in percent-encoding');
}

/**
 * The version that a write is for: `If-Match: "3"` or `?ifVersion=3`.
 * @throws InvalidInputError when both are there and differ, or the header is no single version
 */
export function readIfVersion(header: string | null, query: unknown): { ifVersion?: number } {
  if (header === null) return typeof query === 'number' ? { ifVersion: query } : {};
  const version = /^"?(\d{1,15})"?$/.exec(header)?.[1];
  if (version === undefined) throw badRequest('If-Match', 'must be one version, such as "3"');
  if (query !== undefined && query !== Number(version)) {
    throw badRequest('If-Match', 'is another version than ifVersion');
  }
  return { ifVersion: Number(version) };
}

/**
 * A request's JSON.
 * @returns undefined where the body is empty
 * @throws HttpError 413 above `maxBytes`, 415 where it is not declared as JSON; InvalidInputError where it is none
 */
export async function readJson(request: Request, maxBytes: number): Promise<unknown> {
  const bytes = await readBytes(request, maxBytes);
  if (bytes.byteLength === 0) return undefined;
  const type = request.headers.get('content-type');
  if (type === null || !jsonType.test(type)) {
    throw new HttpError(415, 'invalid-input', 'the body must be JSON', {
      hint: 'Send it with the header Content-Type: application/json.',
    });
  }
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch {
    // The parser's own message quotes the text.
    throw badRequest('body', 'is not JSON in UTF-8');
  }
}

/** Refuses a body that is no object. Its fields are checked by the core. */
export function requireObject(body: unknown): void {
  if (kindOf(body) !== 'object') throw badRequest('body', `expected an object, got ${kindOf(body)}`);
}

async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const declared = request.headers.get('content-length');
  if (Number(declared ?? 0) > maxBytes) throw tooLarge(maxBytes);
  try {
    if (declared === null) return await readChunks(request, maxBytes);
    return new Uint8Array(await request.arrayBuffer());
  } catch (error) {
    if (error instanceof HttpError) throw error;
    throw new HttpError(400, 'invalid-input', 'the body ended early', { cause: error });
  }
}

/** A body of unknown length is given up as soon as it is too long. */
async function readChunks(request: Request, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(maxBytes: number): HttpError {
  return new HttpError(413, 'invalid-input', `the body is larger than ${maxBytes} bytes`, {
    hint: 'Send it in several requests.',
    details: { maxBytes },
  });
}
