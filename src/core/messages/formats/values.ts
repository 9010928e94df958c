/** Comparing and telling apart the values that messages carry: JSON, bytes and URLs. */
import { types } from 'node:util';

/** The bytes of a `Uint8Array`, `Buffer` or `ArrayBuffer`; undefined for anything else. */
export function bytesOf(value: unknown): Uint8Array | undefined {
  if (types.isUint8Array(value)) return value;
  return types.isArrayBuffer(value) ? new Uint8Array(value) : undefined;
}

/** Whether a value is an object with plain fields, of whatever realm. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** The fields that JSON would keep. */
export function definedEntries(value: object): [string, unknown][] {
  return Object.entries(value).filter(([, field]) => field !== undefined);
}

/** Deep equality as storage sees it: an `undefined` field is no field, bytes are equal by content, URLs by text. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => sameValue(item, b[index]));
  }
  if (isPlainObject(a)) return isPlainObject(b) && sameFields(a, b);
  if (a instanceof URL) return b instanceof URL && a.href === b.href;
  const bytes = bytesOf(a);
  const others = bytesOf(b);
  return bytes !== undefined && others !== undefined && Buffer.compare(bytes, others) === 0;
}

function sameFields(a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  const fields = definedEntries(a);
  return (
    fields.length === definedEntries(b).length &&
    fields.every(([key, value]) => Object.hasOwn(b, key) && sameValue(value, b[key]))
  );
}
