import { decodeJson, type Json, type JsonObject } from '../json.ts';
import type { Patch } from '../store.ts';

/** The document after a patch. Neither argument is changed. */
export function applyPatch(document: JsonObject, patch: Patch): JsonObject {
  if ('merge' in patch) return deepMerge(document, decodeJson<JsonObject>(patch.merge));
  const fields = Object.entries(decodeJson<JsonObject>(patch.set));
  return Object.fromEntries([...Object.entries(document), ...fields]);
}

/**
 * Merges a patch into a document, object by object. Arrays and plain values are replaced; null is a value like any
 * other. Neither argument is changed. Field names are only data: `__proto__` is a field, never a prototype.
 */
export function deepMerge(document: JsonObject, patch: JsonObject): JsonObject {
  const fields = new Map(Object.entries(document));
  for (const [field, value] of Object.entries(patch)) {
    const before = fields.get(field);
    fields.set(field, isObject(before) && isObject(value) ? deepMerge(before, value) : value);
  }
  // Unlike assignment, fromEntries makes `__proto__` an own field.
  return Object.fromEntries(fields);
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
