/**
 * Messages as the log's JSON text. Id and seq are not in it, the log's entry has them. A plain message is
 * `{"role":…,"content":…,"createdAt":…}`.
 *
 * Bytes and URLs, which JSON has no word for, are `{"$bytes": base64}` and `{"$url": text}`. An object that looks like
 * one of these without being one gets one more `$`, so nothing is ever mistaken.
 */
import { InvalidInputError } from '../errors.ts';
import { boundedText, encodeJson, type JsonText, MESSAGE_LIMITS } from '../json.ts';
import type { Message, ParsedMessage } from '../model/message.ts';
import { bytesOf, isPlainObject } from './formats/values.ts';

/**
 * Encodes a message for the log.
 * @param createdAt epoch milliseconds, for a message that does not say when it was created
 * @param path the message's name in errors, such as `messages[2]`
 * @throws InvalidInputError for what is no JSON (cycles, functions, BigInt), nested deeper than 64 or above 4 MiB
 */
export function encodeMessage(message: ParsedMessage, createdAt: number, path = 'message'): JsonText {
  const { content, metadata, providerOptions, wire } = message;
  if (typeof content === 'string' && !metadata && !providerOptions && !wire) {
    return boundedText(encodePlain(message, content, createdAt), path, MESSAGE_LIMITS.maxBytes);
  }
  const { id: _, createdAt: given = createdAt, ...rest } = message;
  try {
    return encodeJson(tagged({ ...rest, createdAt: given }, new Set()), path, MESSAGE_LIMITS);
  } catch (error) {
    throw error instanceof InvalidInputError ? withGivenPaths(error, path) : error;
  }
}

/** Leftovers of a format were the caller's fields: `messages[0].wire.set.x` was given as `messages[0].x`. */
function withGivenPaths(error: InvalidInputError, path: string): InvalidInputError {
  const leftovers = `${path}.wire.`;
  if (!error.issues.some((issue) => issue.path.startsWith(leftovers))) return error;
  const issues = error.issues.map((issue) => {
    const field = `.${issue.path.slice(leftovers.length)}`;
    return { ...issue, path: path + field.replaceAll(/\.inside\.|\.set\./g, '.') };
  });
  return new InvalidInputError('not storable as JSON', issues);
}

/** The fast path: strings, numbers and booleans need no checks. */
function encodePlain(message: ParsedMessage, content: string, createdAt: number): JsonText {
  let text = `{"role":"${message.role}","content":${JSON.stringify(content)}`;
  if (message.name !== undefined) text += `,"name":${JSON.stringify(message.name)}`;
  if (message.priority !== undefined) text += `,"priority":"${message.priority}"`;
  if (message.pinned !== undefined) text += `,"pinned":${message.pinned}`;
  return `${text},"createdAt":${message.createdAt ?? createdAt}}`;
}

/** Decodes what {@link encodeMessage} wrote. */
export function decodeMessage(text: JsonText, seq: number, id: string): Message {
  const body = JSON.parse(text);
  // Quotes in a string are escaped, so this finds keys only.
  const hasTags = text.includes('$') && (text.includes('$bytes":') || text.includes('$url":'));
  const message = (hasTags ? revived(body) : body) as Message;
  // A window decodes hundreds: the parsed object is filled up, not copied.
  message.id = id;
  message.seq = seq;
  return message;
}

const tag = /^\$+(bytes|url)$/;

/** A copy with bytes and URLs tagged; whatever holds none is not copied. Cycles are left for the encoder to tell. */
function tagged(value: unknown, open: Set<object>): unknown {
  if (typeof value !== 'object' || value === null || open.has(value)) return value;
  if (value instanceof URL) return { $url: value.href };
  const bytes = bytesOf(value);
  if (bytes)
    return { $bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64') };
  // Deeper is an error anyway, and the encoder's to tell.
  if (open.size > MESSAGE_LIMITS.maxDepth || !(Array.isArray(value) || isPlainObject(value))) return value;
  open.add(value);
  const copy = mapped(
    value,
    (item) => tagged(item, open),
    (key) => (tag.test(key) ? `$${key}` : key),
  );
  open.delete(value);
  return copy;
}

function revived(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { $bytes, $url } = value as { $bytes?: unknown; $url?: unknown };
  if (typeof $bytes === 'string') return new Uint8Array(Buffer.from($bytes, 'base64'));
  if (typeof $url === 'string') return new URL($url);
  return mapped(value, revived, (key) => (tag.test(key) ? key.slice(1) : key));
}

/** Maps the items of an array or the fields of an object; gives the very value back where nothing changed. */
function mapped(value: object, item: (value: unknown) => unknown, name: (key: string) => string): unknown {
  let changed = false;
  const map = (old: unknown): unknown => {
    const now = item(old);
    changed ||= now !== old;
    return now;
  };
  if (Array.isArray(value)) {
    const items = value.map(map);
    return changed ? items : value;
  }
  const entries = Object.entries(value).map(([key, field]): [string, unknown] => {
    const renamed = name(key);
    changed ||= renamed !== key;
    return [renamed, map(field)];
  });
  return changed ? Object.fromEntries(entries) : value;
}
