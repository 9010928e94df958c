import { randomUUID } from 'node:crypto';

/** The longest id, name or key, in UTF-16 code units. */
export const MAX_ID_LENGTH = 256;

/** A fresh, unguessable id for a session, a channel or a batch. */
export function newId(): string {
  return randomUUID();
}

/**
 * What is wrong with an id, or undefined. NUL and unpaired surrogates can't be stored, or told apart, by every
 * database: they are rejected everywhere. Everything else is stored exactly and never interpreted.
 */
export function idProblem(id: unknown): string | undefined {
  if (typeof id !== 'string') return `expected a string, got ${kindOf(id)}`;
  if (id.length === 0) return 'must not be empty';
  if (id.length > MAX_ID_LENGTH) return `has ${id.length} characters, the limit is ${MAX_ID_LENGTH}`;
  if (id.includes('\0') || !id.isWellFormed()) return 'must not contain NUL or unpaired surrogates';
  return undefined;
}

/** The kind of a value as a person names it: `null`, `array`, `NaN`, `string`, … */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return typeof value;
}
