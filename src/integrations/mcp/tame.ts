/** What servers say of their tools, made harmless: it is told to models, and run against what they write. */
import { cut } from '../../core/cut.ts';
import { InvalidInputError } from '../../core/errors.ts';
import { encodeJson } from '../../core/json.ts';
import type { JsonSchema } from '../../core/tools/schema.ts';

const SCHEMA_LIMITS = { maxBytes: 65_536, maxDepth: 32 };
const MAX_DESCRIPTION = 4096;

/** Keywords whose value is a map of schemas, or no schema at all; of all others, what is an object is a schema. */
const MAPS = new Set([
  'properties',
  '$defs',
  'definitions',
  'dependentSchemas',
  'dependencies',
  'dependentRequired',
]);
const DATA = new Set(['enum', 'const', 'default', 'examples', 'required', 'type']);
const TEXTS = new Set(['title', 'description']);
/** A pattern can be made to take for ever on a text that is made for it. What stands beside it can't be told then. */
const PATTERNS = ['pattern', 'patternProperties'];
const BESIDE_PATTERNS = new Set(['additionalProperties', 'unevaluatedProperties', 'propertyNames']);
/** References can be made to branch without end, and names can take the place of a schema that others refer to. */
const REFERENCES = ['$ref', '$dynamicRef', '$recursiveRef', '$id', '$anchor', '$dynamicAnchor'];
/** Compares each item with each other one. */
const EACH_WITH_EACH = ['uniqueItems'];

/** What goes with a keyword behind which something is left out: the less is asked there, the more it forbids. */
const TURNED: Readonly<Record<string, readonly string[]>> = {
  not: ['not'],
  if: ['if', 'then', 'else'],
  oneOf: ['oneOf'],
  contains: ['maxContains'],
};
/** What they forbid depends on all that stands beside them. */
const UNEVALUATED = new Set(['unevaluatedProperties', 'unevaluatedItems']);

/** What is left out of a schema. What it allowed before it still has to allow. */
interface Leaving {
  /** The keywords. */
  readonly out: ReadonlySet<string>;
  /** They, and those that may lead to them: what has one of them in it may fit where it did not before. */
  readonly loose: ReadonlySet<string>;
}

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
  const patterns = new Set(PATTERNS);
  const throughReferences = new Set([...PATTERNS, ...REFERENCES]);
  const told = { out: patterns, loose: mentions(copy, patterns) ? throughReferences : patterns };
  const unchecked = new Set([...throughReferences, ...EACH_WITH_EACH]);
  const checked = { out: unchecked, loose: unchecked };
  return { told: tame(copy, told) as JsonSchema, checked: tame(copy, checked) as JsonSchema };
}

/** Without characters that are not seen, and not longer than a description has to be. */
export function tameText(text: string): string {
  return cut(
    text.replace(/(?![\n\t])[\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}]/gu, ''),
    MAX_DESCRIPTION,
  ).toWellFormed();
}

function tame(schema: unknown, leaving: Leaving): unknown {
  if (Array.isArray(schema)) return schema.map((one) => tame(one, leaving));
  if (!isObject(schema)) return schema;
  const kept = Object.entries(withoutTurned(schema, leaving)).filter(
    ([keyword]) =>
      !leaving.out.has(keyword) && !('patternProperties' in schema && BESIDE_PATTERNS.has(keyword)),
  );
  const tamed = kept.map(([keyword, value]) => [keyword, tameKeyword(keyword, value, leaving)]);
  return withPatternTold(schema, Object.fromEntries(tamed));
}

/** Without what would forbid more than the server does, now that not all is there. Of alternatives, several may fit. */
function withoutTurned(schema: JsonSchema, { loose }: Leaving): JsonSchema {
  if (!mentions(schema, loose)) return schema;
  const isLoose = (keyword: string) => mentions(schema[keyword], loose);
  const turned = new Set(
    Object.keys(TURNED)
      .filter(isLoose)
      .flatMap((keyword) => TURNED[keyword]!),
  );
  const kept = Object.fromEntries(
    Object.entries(schema).filter(([keyword]) => !turned.has(keyword) && !UNEVALUATED.has(keyword)),
  );
  return isLoose('oneOf') ? { anyOf: schema.oneOf, ...kept } : kept;
}

/** Whether any of the keywords is used in a schema, at any depth. */
function mentions(schema: unknown, keywords: ReadonlySet<string>): boolean {
  if (Array.isArray(schema)) return schema.some((one) => mentions(one, keywords));
  if (!isObject(schema)) return false;
  return Object.entries(schema).some(([keyword, value]) => {
    if (keywords.has(keyword)) return true;
    if (DATA.has(keyword)) return false;
    const inner = MAPS.has(keyword) && isObject(value) ? Object.values(value) : value;
    return mentions(inner, keywords);
  });
}

function tameKeyword(keyword: string, value: unknown, leaving: Leaving): unknown {
  if (DATA.has(keyword)) return value;
  if (TEXTS.has(keyword)) return typeof value === 'string' ? tameText(value) : value;
  if (!MAPS.has(keyword) || !isObject(value)) return tame(value, leaving);
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, tame(one, leaving)]));
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
