/** Results of tools as plain JSON: what tools return is anybody's guess. */
import { cut } from '../cut.ts';
import { HoldfastError } from '../errors.ts';
import { kindOf } from '../ids.ts';
import { fieldPath } from '../input.ts';
import type { Json } from '../json.ts';

/** Deeper results are cut there. */
const MAX_DEPTH = 64;
/** Integers below it take six characters at most, with their comma. */
const SMALL = 100_000;
/** Stands where an object would contain itself. */
const CYCLE = '[Circular]';
const TOO_DEEP = '[Nested too deeply]';

/** How many bytes of JSON a unit may be: a control character takes six, the longest number and its comma 25 for four. */
export const MAX_BYTES_A_UNIT = 7;

/** A value as JSON, with nothing of the original in it. */
export interface Plain {
  readonly value: Json;
  /** About how long its JSON is, in UTF-16 code units: never more than that, and {@link MAX_BYTES_A_UNIT} bound it. */
  readonly units: number;
  /** The value goes on: this is its beginning. */
  readonly isCut: boolean;
}

/**
 * A copy of a value as JSON, as `JSON.stringify` would have it; but a BigInt is its digits, a Map an object, a Set an
 * array, bytes are base64, an error is its name and message, and a cycle says so. Looks at no more than `maxUnits` of it.
 * @throws HoldfastError `tool-failed` for what is no JSON at all (a function, a symbol), where reading the value throws,
 * and for what nobody has waited for: a promise, a stream
 */
export function plainOf(value: unknown, maxUnits: number, maxDepth = MAX_DEPTH): Plain {
  const copier = new Copier(maxUnits, maxDepth);
  let copy: Copy;
  try {
    copy = copier.copy(value);
  } catch {
    // Getters, proxies and toJSON may do anything.
    throw notJson(copier.path, 'can not be read: reading it throws');
  }
  if (copier.unread) throw notJson(copier.unread.path, copier.unread.problem);
  if (copy === OMIT && value !== undefined) throw notJson([], `is a ${kindOf(value)}`);
  return { value: copy === OMIT ? null : copy, units: maxUnits - copier.left, isCut: copier.isFull };
}

/** A copy of what {@link plainOf} made. */
export function copyPlain<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(copyPlain) as T;
  const copy: Record<string, Json> = {};
  for (const key of Object.keys(value)) setField(copy, key, copyPlain((value as Record<string, Json>)[key]!));
  return copy as T;
}

function setField(target: Record<string, Json>, key: string, value: Json): void {
  if (key !== '__proto__') target[key] = value;
  else Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}

function notJson(path: readonly (string | number)[], problem: string): HoldfastError {
  return new HoldfastError(
    'tool-failed',
    `the result is no JSON: ${fieldPath(['result', ...path])} ${problem}`,
  );
}

/** What has no place in JSON: left out of an object, null in an array. */
const OMIT = Symbol('omit');
type Copy = Json | typeof OMIT;

class Copier {
  /** Code units that may still come. */
  left: number;
  /** Where it is in the value. */
  readonly path: (string | number)[] = [];
  /** What was found first that nobody has waited for. */
  unread: { path: (string | number)[]; problem: string } | undefined;
  readonly #open: object[] = [];
  readonly #maxDepth: number;

  constructor(maxUnits: number, maxDepth: number) {
    this.left = maxUnits;
    this.#maxDepth = maxDepth;
  }

  get isFull(): boolean {
    return this.left < 0;
  }

  copy(value: unknown): Copy {
    switch (typeof value) {
      case 'string':
        return this.#text(value);
      case 'number':
        this.left -= Number.isInteger(value) && Math.abs(value) < SMALL ? 1 : 3;
        return Number.isFinite(value) ? value : null;
      case 'boolean':
        this.left -= 4;
        return value;
      case 'bigint':
        return this.#text(value.toString());
      case 'object':
        return value === null ? this.#null() : this.#object(value);
      default:
        return OMIT;
    }
  }

  #text(text: string): string {
    const kept = text.length + 2 > this.left ? cut(text, Math.max(0, this.left - 2)) : text;
    this.left -= text.length + 2;
    return kept;
  }

  #null(): null {
    this.left -= 4;
    return null;
  }

  #object(value: object): Copy {
    if (this.#open.includes(value)) return this.#text(CYCLE);
    if (this.#open.length === this.#maxDepth) return this.#text(TOO_DEEP);
    this.left -= 2;
    this.#open.push(value);
    const copy = Array.isArray(value) ? this.#array(value) : this.#fields(value);
    this.#open.pop();
    return copy;
  }

  #array(values: readonly unknown[]): Json[] {
    const copy: Json[] = [];
    for (let i = 0; i < values.length && !this.isFull; i++) this.#add(copy, i, values[i]);
    return copy;
  }

  #add(items: Json[], index: number, value: unknown): void {
    this.left -= 1;
    const item = this.#at(index, value);
    items.push(item === OMIT ? this.#null() : item);
  }

  #fields(value: object): Copy {
    const prototype = Object.getPrototypeOf(value);
    const isPlain = prototype === Object.prototype || prototype === null;
    if (isPlain && typeof (value as { toJSON?: unknown }).toJSON !== 'function') return this.#own(value);
    if (value instanceof Map) return this.#map(value);
    if (value instanceof Set) {
      const items: Json[] = [];
      for (const item of value) if (!this.isFull) this.#add(items, items.length, item);
      return items;
    }
    const other = this.#special(value);
    return other === value ? this.#own(value) : this.copy(other);
  }

  #own(value: object): Json {
    const copy: Record<string, Json> = {};
    for (const key of Object.keys(value)) {
      if (this.isFull) break;
      this.#set(copy, key, (value as Record<string, unknown>)[key]);
    }
    return copy;
  }

  /** An object where all keys are strings, else an array of pairs. */
  #map(map: ReadonlyMap<unknown, unknown>): Json {
    const copy: Record<string, Json> = {};
    const pairs: Json[] = [];
    let isObject = true;
    for (const key of map.keys()) isObject &&= typeof key === 'string';
    for (const [key, value] of map) {
      if (this.isFull) break;
      if (isObject) this.#set(copy, key as string, value);
      else this.#add(pairs, pairs.length, [key, value]);
    }
    return isObject ? copy : pairs;
  }

  #set(target: Record<string, Json>, key: string, value: unknown): void {
    const field = this.#at(key, value);
    if (field === OMIT) return;
    this.left -= key.length + 4;
    setField(target, key, field);
  }

  #at(place: string | number, value: unknown): Copy {
    this.path.push(place);
    const copy = this.copy(value);
    this.path.pop();
    return copy;
  }

  /** What stands for an object that is more than its fields; the object itself where nothing does. */
  #special(value: object): unknown {
    if (ArrayBuffer.isView(value)) return this.#bytes(value.buffer, value.byteOffset, value.byteLength);
    if (value instanceof ArrayBuffer) return this.#bytes(value, 0, value.byteLength);
    if (value instanceof Error) return { name: String(value.name), message: String(value.message) };
    if (value instanceof Number || value instanceof String || value instanceof Boolean)
      return value.valueOf();
    const { toJSON } = value as { toJSON?: unknown };
    if (typeof toJSON === 'function') return toJSON.call(value, String(this.path.at(-1) ?? ''));
    const problem = problemOf(value);
    if (problem !== undefined) this.unread ??= { path: [...this.path], problem };
    return value;
  }

  /** In base64; of more than there is room for, the beginning. */
  #bytes(buffer: ArrayBufferLike, offset: number, length: number): string {
    const bytes = Math.min(length, Math.max(0, Math.ceil(this.left / 4) * 3) + 3);
    return Buffer.from(buffer, offset, bytes).toString('base64');
  }
}

/** As JSON these would be `{}`, which nobody means. */
function problemOf(value: object): string | undefined {
  if (typeof (value as { then?: unknown }).then === 'function') return 'is a promise: await it';
  if (value instanceof Response || value instanceof Blob) return 'is a body: await its text() or json()';
  const isUnread = Symbol.asyncIterator in value || typeof (value as { next?: unknown }).next === 'function';
  return isUnread ? 'is a stream or iterator: read it to its end' : undefined;
}
