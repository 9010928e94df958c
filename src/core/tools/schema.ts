/** Schemas of tools: checking values by them, and telling them as JSON Schema. */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec';
import type { Ajv, AnySchemaObject, ErrorObject, Options, ValidateFunction } from 'ajv';
import type { Ajv2020 } from 'ajv/dist/2020.js';
import { z } from 'zod';
import { type InputIssue, InvalidInputError } from '../errors.ts';
import { kindOf } from '../ids.ts';
import { fieldPath } from '../input.ts';
import { loadAjv, loadAjv2020 } from './libraries.ts';

/** A JSON Schema that is an object, as those of tools are. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** What a check makes of a value. */
export type Checked =
  | { readonly value: unknown; readonly issues?: undefined }
  | { readonly issues: readonly InputIssue[] };

export type Checker = (value: unknown) => Checked | Promise<Checked>;

/** A schema of either sort, by the look of it. Types of arktype are functions. */
export const schemaSchema = z.custom<StandardSchemaV1 | JsonSchema>(
  (value) => isStandard(value) || isJsonSchema(value),
  'expected a schema of a library of Standard Schema (zod, valibot, arktype, …), or JSON Schema',
);

/** By the look of it. */
export function isJsonSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isStandard(value: unknown): value is StandardSchemaV1 {
  const standard = (value as Partial<StandardSchemaV1> | null | undefined)?.['~standard'];
  return typeof standard?.validate === 'function';
}

/**
 * What checks values by a schema.
 * @param field whose schema it is, in error messages
 * @throws InvalidInputError for JSON Schema that does not compile
 */
export function checkerOf(schema: StandardSchemaV1 | JsonSchema, field: string): Checker {
  return isStandard(schema) ? standardChecker(schema) : jsonSchemaChecker(schema, field);
}

function standardChecker(schema: StandardSchemaV1): Checker {
  const standard = schema['~standard'];
  return (value) => {
    const result = standard.validate(value);
    return 'then' in result ? Promise.resolve(result).then(checkedOf) : checkedOf(result);
  };
}

function checkedOf(result: StandardSchemaV1.Result<unknown>): Checked {
  if (!result.issues) return { value: result.value };
  const issues = result.issues.map(({ message, path = [] }) => ({
    path: fieldPath(path.map((part) => (typeof part === 'object' ? part.key : part))),
    message,
  }));
  return { issues };
}

/** Formats are notes, as in the standard; a default fills in for what is missing. */
const ajvOptions = {
  strict: false,
  validateFormats: false,
  useDefaults: true,
  addUsedSchema: false,
  logger: false,
} as const;
/** What is told of a value: all that is wrong with it, or what was found first. */
type Extent = 'all' | 'first';
interface Draft {
  /** By what `$schema` names it. */
  readonly names: RegExp;
  readonly make: (options: Options) => Ajv | Ajv2020;
  /** When first needed, since each compiles its meta-schema. */
  readonly made: Partial<Record<Extent, Ajv | Ajv2020>>;
}
const drafts: readonly Draft[] = [
  {
    names: /^https?:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/,
    make: (options) => new (loadAjv2020())(options),
    made: {},
  },
  {
    names: /^https?:\/\/json-schema\.org\/draft-07\/schema#?$/,
    make: (options) => new (loadAjv())(options),
    made: {},
  },
];
/**
 * Of a value that holds more values than these, each counted as often as there are values in its schema, what is found
 * first is told: all of it, once for each alternative of each item, may be more than fits into memory.
 */
const MAX_CHECKS = 100_000;

function jsonSchemaChecker(schema: JsonSchema, field: string): Checker {
  const all = compile(schema, field, 'all');
  const own = structuredClone(schema);
  const most = MAX_CHECKS / countValues(own, MAX_CHECKS);
  let first: ValidateFunction | undefined;
  return (value) => {
    let validate = all;
    if (countValues(value, most) > most) validate = first ??= compile(own, field, 'first');
    return validate(value) ? { value } : { issues: validate.errors!.map(issueOf) };
  };
}

/** How many values there are in a value, itself one of them. Counts no further than to one more than `most`, or so. */
function countValues(value: unknown, most: number): number {
  const left = [value];
  let count = 0;
  for (; left.length > 0 && count <= most; count++) {
    const one = left.pop();
    if (typeof one !== 'object' || one === null) continue;
    if (Array.isArray(one) && one.length > most) return one.length;
    for (const inner of Object.values(one)) left.push(inner);
  }
  return count;
}

function compile(schema: JsonSchema, field: string, extent: Extent): ValidateFunction {
  const { $schema = 'https://json-schema.org/draft/2020-12/schema' } = schema;
  const draft = drafts.find(({ names }) => names.test(String($schema)));
  if (!draft) throw notASchema(field, 'its $schema is neither draft 2020-12 nor draft-07');
  if ('$async' in schema) throw notASchema(field, '$async is not JSON Schema');
  draft.made[extent] ??= draft.make({ ...ajvOptions, allErrors: extent === 'all' });
  const ajv = draft.made[extent];
  const { $id } = schema;
  if (typeof $id === 'string' && ajv.getSchema($id)) throw notASchema(field, '$id is that of a draft');
  try {
    const own = structuredClone(schema) as AnySchemaObject;
    // To forget it again would be to forget that one.
    const validate = ajv.compile(own);
    // It keeps every schema that it has seen; tools come and go.
    ajv.removeSchema(own);
    return validate;
  } catch (error) {
    throw notASchema(field, error instanceof Error ? error.message : kindOf(error));
  }
}

function notASchema(field: string, why: string): InvalidInputError {
  return new InvalidInputError('defineTool', [
    { path: field, message: `is no JSON Schema that can be used: ${why}` },
  ]);
}

/** `/items/0/na~1me` as `items[0].na/me`. */
function issueOf({ instancePath, message = 'is wrong', params }: ErrorObject): InputIssue {
  const keys = instancePath
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((key) => (/^\d+$/.test(key) ? Number(key) : key));
  const { additionalProperty, allowedValues } = params as {
    additionalProperty?: string;
    allowedValues?: unknown[];
  };
  const more = additionalProperty ?? allowedValues?.map((value) => JSON.stringify(value)).join(', ');
  return { path: fieldPath(keys), message: more === undefined ? message : `${message}: ${more}` };
}

/** A schema as JSON Schema; undefined where its library can't tell it, as for what has no place in JSON. */
export function jsonSchemaOf(
  schema: StandardSchemaV1 | JsonSchema,
  side: 'input' | 'output',
): JsonSchema | undefined {
  if (!isStandard(schema)) return structuredClone(schema);
  const standard = schema['~standard'] as StandardSchemaV1.Props & Partial<StandardJSONSchemaV1.Props>;
  try {
    if (standard.jsonSchema) return standard.jsonSchema[side]({ target: 'draft-2020-12' });
    // Zod before version 4.2 has a function for it, other libraries have a method.
    if (standard.vendor === 'zod') return z.toJSONSchema(schema as unknown as z.ZodType, { io: side });
    return (schema as { toJsonSchema?: () => JsonSchema }).toJsonSchema?.();
  } catch {
    return undefined;
  }
}
