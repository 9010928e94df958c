import { InvalidInputError } from './errors.ts';
import { kindOf } from './ids.ts';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** A value as JSON text: what stores hold. Always well-formed Unicode: lone surrogates and NUL are escaped in it. */
export type JsonText = string;

/** Size limits of one stored value. */
export interface JsonLimits {
  maxBytes: number;
  maxDepth: number;
}

const KIB = 1024;
export const VALUE_LIMITS: JsonLimits = { maxBytes: KIB * KIB, maxDepth: 32 };
export const MESSAGE_LIMITS: JsonLimits = { maxBytes: 4 * KIB * KIB, maxDepth: 64 };

/**
 * Encodes a value as JSON text, or explains which field is no JSON (a cycle, a BigInt, a function, `NaN`).
 * Object fields that are `undefined` are left out, as `JSON.stringify` does.
 * @param field the input's name in error messages
 */
export function encodeJson(value: unknown, field: string, limits: JsonLimits = VALUE_LIMITS): JsonText {
  const problem = findProblem(value, field, limits.maxDepth, new Set());
  if (problem) throw new InvalidInputError('not storable as JSON', [problem]);
  return boundedText(JSON.stringify(value), field, limits.maxBytes);
}

/** Throws when the text is larger than `maxBytes` of UTF-8. */
export function boundedText(text: JsonText, field: string, maxBytes: number): JsonText {
  // A code unit is at most three bytes: most values pass without counting.
  if (text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes) {
    const bytes = Buffer.byteLength(text);
    throw new InvalidInputError('too large', [
      { path: field, message: `has ${bytes} bytes, the limit is ${maxBytes}` },
    ]);
  }
  return text;
}

/** Decodes what {@link encodeJson} wrote. */
export function decodeJson<T>(text: JsonText): T {
  return JSON.parse(text) as T;
}

type Problem = { path: string; message: string } | undefined;

function findProblem(value: unknown, path: string, depth: number, open: Set<object>): Problem {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined;
  if (typeof value === 'number') {
    return Number.isFinite(value) ? undefined : { path, message: `${value} is not a JSON number` };
  }
  if (value === undefined) return { path, message: 'undefined is not JSON' };
  if (typeof value !== 'object') return { path, message: `a ${kindOf(value)} is not JSON` };
  if (depth === 0) return { path, message: 'is nested too deeply' };
  if (open.has(value)) return { path, message: 'contains itself' };
  open.add(value);
  const problem = Array.isArray(value)
    ? findInArray(value, path, depth - 1, open)
    : findInObject(value, path, depth - 1, open);
  open.delete(value);
  return problem;
}

function findInArray(value: unknown[], path: string, depth: number, open: Set<object>): Problem {
  for (let i = 0; i < value.length; i++) {
    const problem = findProblem(value[i], `${path}[${i}]`, depth, open);
    if (problem) return problem;
  }
  return undefined;
}

function findInObject(value: object, path: string, depth: number, open: Set<object>): Problem {
  const prototype = Object.getPrototypeOf(value);
  // A plain object's prototype is the root of its realm's chain, or there is none.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    return {
      path,
      message: `a ${value.constructor?.name ?? 'class instance'} is not JSON: pass a plain object`,
    };
  }
  for (const key of Object.keys(value)) {
    const field = (value as Record<string, unknown>)[key];
    if (field === undefined) continue;
    const problem = findProblem(field, `${path}.${key}`, depth, open);
    if (problem) return problem;
  }
  return undefined;
}
