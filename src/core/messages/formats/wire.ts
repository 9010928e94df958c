/**
 * What makes every format lossless by construction: a message is translated there and back when it comes in, and
 * the difference to what was given is kept with it. Nothing has to be known about a field for it to survive.
 *
 * Objects are built from entries here, never by assignment: a field called `__proto__` stays a field.
 */
import type { WirePatch } from '../../model/message.ts';
import { definedEntries, isPlainObject, sameValue } from './values.ts';

type Container = Record<string, unknown> | unknown[];

/** The patch that turns `from` into `to`; undefined where they are the same. */
export function difference(from: Container, to: Container): WirePatch | undefined {
  const before = new Map(definedEntries(from));
  const after = new Map(definedEntries(to));
  const set: [string, unknown][] = [];
  const inside: [string, WirePatch][] = [];
  for (const [key, value] of after) {
    const old = before.get(key);
    if (sameValue(old, value)) continue;
    const patch =
      before.has(key) && alike(old, value) ? difference(old as Container, value as Container) : undefined;
    if (patch) inside.push([key, patch]);
    else set.push([key, value]);
  }
  const absent = [...before.keys()].filter((key) => !after.has(key));
  if (set.length + inside.length + absent.length === 0) return undefined;
  return {
    ...(set.length > 0 && { set: Object.fromEntries(set) }),
    ...(absent.length > 0 && { absent }),
    ...(inside.length > 0 && { inside: Object.fromEntries(inside) }),
  };
}

/** Applies a patch to a copy. A place that the patch does not find is left as it is. */
export function patched<T>(value: T, patch: WirePatch): T {
  const fields = new Map(definedEntries(value as object));
  for (const key of patch.absent ?? []) fields.delete(key);
  for (const [key, set] of Object.entries(patch.set ?? {})) fields.set(key, set);
  for (const [key, inner] of Object.entries(patch.inside ?? {})) {
    const old = fields.get(key);
    if (Array.isArray(old) || isPlainObject(old)) fields.set(key, patched(old, inner));
  }
  // In a list only what is inside its items is ever patched, so the keys are still 0, 1, 2, …
  return (Array.isArray(value) ? [...fields.values()] : Object.fromEntries(fields)) as T;
}

/** Whether a patch inside is worth it: two objects, or two lists of one length. */
function alike(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && isDense(a) && isDense(b);
  return isPlainObject(a) && isPlainObject(b);
}

function isDense(list: unknown[]): boolean {
  return list.every((item) => item !== undefined) && Object.keys(list).length === list.length;
}
