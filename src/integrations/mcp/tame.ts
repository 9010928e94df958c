/** What servers say of their tools, made harmless: it is told to models, and run against what they write. */
import { cut } from '../../core/cut.ts';
import { InvalidInputError } from '../../core/errors.ts';
import { encodeJson } from '../../core/json.ts';
import type { JsonSchema } from '../../core/tools/schema.ts';

const SCHEMA_LIMITS = { maxBytes: 65_536, maxDepth: 32 };
const MAX_DESCRIPTION = 4096;

/** Keywords whose value is a map of schemas, or no schema at all; of all others, what is an object is a schema. */
const MAPS = new Set(['properties', '$defs', 'definitions', 'dependentSchemas']);
const DATA = new Set(['enum', 'const', 'default', 'examples', 'required', 'type']);
const TEXTS = new Set(['title', 'description']);
/** A pattern can be made to take for ever on a text that is made for it. What stands beside it can't be told then. */
const PATTERNS = new Set(['pattern', 'patternProperties']);
const BESIDE_PATTERNS = new Set(['additionalProperties', 'unevaluatedProperties', 'propertyNames']);
/** References can be made to branch without end, and names can take the place of a schema that others refer to. */
const REFERENCES = new Set(['$ref', '$dynamicRef', '$recursiveRef', '$id', '$anchor', '$dynamicAnchor']);

export interface TameSchema {
  /** For models. */
  told: JsonSchema;
  /** For checks before a call: with what is behind references left to the server, which checks by itself. */
  checked: JsonSchema;
}

/**
 * A schema of a server, without what could be made to harm.
 * @throws InvalidInputError for one that is too large, or that refers to what is not in it
 */
export function tameSchema(schema: JsonSchema, field: string): TameSchema {
  const copy = JSON.parse(encodeJson(schema, field, SCHEMA_LIMITS)) as JsonSchema;
  checkReferences(copy, copy, field);
  return { told: tame(copy, false) as JsonSchema, checked: tame(copy, true) as JsonSchema };
}

/** Without characters that are not seen, and not longer than a description has to be. */
export function tameText(text: string): string {
  return cut(text.replace(/(?![\n\t])[\p{Cc}\p{Cf}]/gu, ''), MAX_DESCRIPTION).toWellFormed();
}

function tame(schema: unknown, forChecks: boolean): unknown {
  if (Array.isArray(schema)) return schema.map((one) => tame(one, forChecks));
  if (!isObject(schema)) return schema;
  const kept = Object.entries(schema).filter(([keyword]) => {
    if (PATTERNS.has(keyword) || (forChecks && REFERENCES.has(keyword))) return false;
    return !('patternProperties' in schema && BESIDE_PATTERNS.has(keyword));
  });
  const tamed = kept.map(([keyword, value]) => [keyword, tameKeyword(keyword, value, forChecks)]);
  return withPatternTold(schema, Object.fromEntries(tamed));
}

function tameKeyword(keyword: string, value: unknown, forChecks: boolean): unknown {
  if (DATA.has(keyword)) return value;
  if (TEXTS.has(keyword)) return typeof value === 'string' ? tameText(value) : value;
  if (!MAPS.has(keyword) || !isObject(value)) return tame(value, forChecks);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, tame(one, forChecks)]));
}

/** A pattern is told in words, so that a model can keep to it. */
function withPatternTold({ pattern }: JsonSchema, tamed: Record<string, unknown>): JsonSchema {
  if (typeof pattern !== 'string') return tamed;
  const { description } = tamed;
  const words = `Matches ${pattern}`;
  return {
    ...tamed,
    description: tameText(typeof description === 'string' ? `${description} ${words}` : words),
  };
}

function checkReferences(schema: unknown, root: JsonSchema, field: string): void {
  if (Array.isArray(schema)) for (const one of schema) checkReferences(one, root, field);
  if (!isObject(schema)) return;
  for (const [keyword, value] of Object.entries(schema)) {
    if (keyword === '$ref' && typeof value === 'string' && !isWithin(value, root)) {
      throw new InvalidInputError('a schema of a tool', [
        { path: field, message: 'refers to what is not in it' },
      ]);
    }
    if (!DATA.has(keyword)) checkReferences(value, root, field);
  }
}

/** Whether a reference (`#/$defs/node`, or the name of an anchor) is to something within the schema. */
function isWithin(reference: string, root: JsonSchema): boolean {
  if (!reference.startsWith('#')) return false;
  if (!reference.startsWith('#/')) return true;
  const keys = reference
    .slice(2)
    .split('/')
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  let inner: unknown = root;
  for (const key of keys) {
    if (typeof inner !== 'object' || inner === null || !Object.hasOwn(inner, key)) return false;
    inner = (inner as Record<string, unknown>)[key];
  }
  return true;
}

function isObject(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
