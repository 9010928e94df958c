/** Schemas of tools: checking values by them, and telling them as JSON Schema. */
import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec';
import type { Ajv, AnySchemaObject, ErrorObject, ValidateFunction } from 'ajv';
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
  (value) => isStandard(value) || (typeof value === 'object' && value !== null && !Array.isArray(value)),
  'expected a schema of a library of Standard Schema (zod, valibot, arktype, …), or JSON Schema',
);

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
  allErrors: true,
  strict: false,
  validateFormats: false,
  useDefaults: true,
  addUsedSchema: false,
  logger: false,
} as const;
/** By what `$schema` names: made when first needed, since each compiles its meta-schema. */
const drafts: { readonly names: RegExp; readonly make: () => Ajv | Ajv2020; ajv?: Ajv | Ajv2020 }[] = [
  {
    names: /^https?:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/,
    make: () => new (loadAjv2020())(ajvOptions),
  },
  { names: /^https?:\/\/json-schema\.org\/draft-07\/schema#?$/, make: () => new (loadAjv())(ajvOptions) },
];

function jsonSchemaChecker(schema: JsonSchema, field: string): Checker {
  const validate = compile(schema, field);
  return (value) => {
    if (validate(value)) return { value };
    return { issues: validate.errors!.map(issueOf) };
  };
}

function compile(schema: JsonSchema, field: string): ValidateFunction {
  const { $schema = 'https://json-schema.org/draft/2020-12/schema' } = schema;
  const draft = drafts.find(({ names }) => names.test(String($schema)));
  if (!draft) throw notASchema(field, 'its $schema is neither draft 2020-12 nor draft-07');
  if ('$async' in schema) throw notASchema(field, '$async is not JSON Schema');
  draft.ajv ??= draft.make();
  const { ajv } = draft;
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
