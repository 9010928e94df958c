/** The name of an input: equal inputs have the same one, whatever the order of their fields. */
import { createHash } from 'node:crypto';

/** Names that are longer are hashed: a cache is not to hold large inputs. */
const MAX_LENGTH = 256;
/** Of values in an input: what has more is not worth a name. Bounds what an object costs that has itself in it, too. */
const MAX_VALUES = 10_000;

/** An input with something in it that can't be told apart by its content, or too much of everything. */
class NoName extends Error {}

type Budget = { left: number };

/**
 * @returns undefined for an input that has no name: a function in it, an object of some class, a cycle. Fields that are
 * undefined count as absent.
 */
export function canonicalKey(input: unknown): string | undefined {
  try {
    const name = nameOf(input, { left: MAX_VALUES });
    return name.length <= MAX_LENGTH ? name : `#${createHash('sha256').update(name).digest('base64url')}`;
  } catch (error) {
    // A RangeError: it is nested too deeply.
    if (error instanceof NoName || error instanceof RangeError) return undefined;
    throw error;
  }
}

function nameOf(value: unknown, budget: Budget): string {
  if (--budget.left < 0) throw new NoName();
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return JSON.stringify(value);
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value);
    case 'bigint':
      return `${value}n`;
    case 'undefined':
      return 'undefined';
    case 'object':
      return value === null ? 'null' : nameOfObject(value, budget);
    default:
      throw new NoName();
  }
}

function nameOfObject(value: object, budget: Budget): string {
  if (Array.isArray(value)) return `[${value.map((item) => nameOf(item, budget)).join()}]`;
  if (value instanceof Date) return `Date(${value.getTime()})`;
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw new NoName();
  const fields: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const field = (value as Record<string, unknown>)[key];
    if (field !== undefined) fields.push(`${JSON.stringify(key)}:${nameOf(field, budget)}`);
  }
  return `{${fields.join()}}`;
}
