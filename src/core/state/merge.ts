import type { Json, JsonObject } from '../json.ts';

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
