import { decodeJson, encodeJson, type JsonObject } from './json.ts';

/** What the caller gave, so that it can't change under us. */
export function copyOf(metadata: Record<string, unknown>): JsonObject {
  return decodeJson<JsonObject>(encodeJson(metadata, 'metadata'));
}

/** Field by field; null removes a field. */
export function mergedMetadata(before: JsonObject, changes: JsonObject): JsonObject {
  const fields = new Map(Object.entries(before));
  for (const [field, value] of Object.entries(changes)) {
    if (value === null) fields.delete(field);
    else fields.set(field, value);
  }
  return Object.fromEntries(fields);
}
