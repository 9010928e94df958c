import { z } from 'zod';
import { type InputIssue, InvalidInputError } from './errors.ts';
import { idProblem, kindOf } from './ids.ts';
import { SHARED_USER } from './partitions.ts';
import { nearest } from './suggest.ts';

/** An id, key or name: 1 to 256 characters, no NUL, no unpaired surrogates. */
export const idSchema = z.string().superRefine((id, context) => {
  const problem = idProblem(id);
  if (problem) context.addIssue({ code: 'custom', message: problem });
});

/** The id of a user: any but the one under which a tenant's own memories are kept. */
export const userIdSchema = idSchema.refine(
  (id) => id !== SHARED_USER,
  `must not be ${SHARED_USER}, which is reserved`,
);

/** Checks a lone id argument. @param what the call and the argument: `sessions.get: id` */
export function parseId(id: string, what: string): string {
  const problem = idProblem(id);
  if (problem) throw new InvalidInputError(what, [{ path: '', message: problem }]);
  return id;
}

/** How many items a listing gives: 1 to 1000. */
export const limitSchema = z.int().min(1).max(1000);

/** Epoch milliseconds. */
export const timeSchema = z.int().min(0).max(8.64e15);

/** A duration in milliseconds, from 1 up. */
export const durationSchema = z.int().min(1);

/** A JSON object, passed on as it is; depth, size and contents are checked where it is encoded. */
export const objectSchema = z.custom<Record<string, unknown>>().superRefine((value, context) => {
  const object = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!object) context.addIssue({ code: 'custom', message: `expected an object, got ${kindOf(value)}` });
});

/**
 * Checks what a caller passed.
 * @param what the call, as error messages name it: `sessions.create`
 * @throws InvalidInputError with every problem: the field, the value's kind, the limit; never the value
 */
export function parseInput<S extends z.ZodType>(schema: S, value: unknown, what: string): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new InvalidInputError(what, inputIssues(parsed.error, value, schema));
}

/** Zod's issues in our words. */
export function inputIssues(error: z.ZodError, value: unknown, schema: z.ZodType): InputIssue[] {
  return inWords(error.issues, value, schema);
}

function inWords(issues: readonly z.core.$ZodIssue[], value: unknown, schema: z.ZodType): InputIssue[] {
  return issues.flatMap((issue) => {
    const path = fieldPath(issue.path);
    const got = at(value, issue.path);
    switch (issue.code) {
      case 'unrecognized_keys':
        return issue.keys.map((key) => unknownKey(path, key, knownKeys(schema, issue.path)));
      case 'invalid_type':
        return [
          {
            path,
            message:
              got === undefined
                ? `is missing, expected ${wordFor(issue.expected)}`
                : `expected ${wordFor(issue.expected)}, got ${kindOf(got)}`,
          },
        ];
      case 'invalid_value':
        return [{ path, message: `${got === undefined ? 'is missing, ' : ''}${oneOf(issue.values, got)}` }];
      case 'invalid_union': {
        const inner = issue.errors.find((branch) => branch.every(isInside));
        if (!inner) return [{ path, message: unionMessage(issue.errors.flat(), got) }];
        const placed = inner.map((one) => ({ ...one, path: [...issue.path, ...one.path] }));
        return inWords(placed, value, schema);
      }
      case 'too_small':
        return [{ path, message: `must be at least ${issue.minimum}${size(issue.origin)}` }];
      case 'too_big':
        return [{ path, message: `must be at most ${issue.maximum}${size(issue.origin)}` }];
      default:
        return [{ path, message: issue.message }];
    }
  });
}

/** Whether a problem is within a value, not with what kind of a thing it is. */
function isInside({ code, path }: z.core.$ZodIssue): boolean {
  return path.length > 0 || code === 'unrecognized_keys';
}

function wordFor(expected: string): string {
  return expected === 'int' ? 'whole number' : expected;
}

/** Of a value that may be several things: what is wrong with it as what it is, or else what it may be. */
function unionMessage(issues: readonly z.core.$ZodIssue[], got: unknown): string {
  const close = issues.find((issue) => issue.code !== 'invalid_type' && issue.path.length === 0);
  if (close?.code === 'too_small') return `must be at least ${close.minimum}`;
  if (close?.code === 'invalid_value') return oneOf(close.values, got);
  if (close) return close.message;
  const kinds = issues.flatMap((issue) => (issue.code === 'invalid_type' ? [wordFor(issue.expected)] : []));
  const names = [...new Set(kinds)].map((kind) => (kind === 'record' ? 'object' : kind));
  return `expected ${names.join(' or ')}, got ${kindOf(got)}`;
}

/** `messages[2].role` */
export function fieldPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    return text ? `${text}.${String(key)}` : String(key);
  }, '');
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key],
    value,
  );
}

function unknownKey(path: string, key: string, known: readonly string[]): InputIssue {
  const field = path ? `${path}.${key}` : key;
  // Of a value that may be several things, it is known in another one of them.
  if (known.includes(key)) return { path: field, message: 'does not go with the other fields' };
  const near = nearest(key, known);
  return {
    path: field,
    message: `is unknown${near ? `, did you mean ${near}?` : `; known are ${known.join(', ') || 'none'}`}`,
  };
}

function knownKeys(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  let inner: unknown = schema;
  // An array's items all have the schema that it unwraps to.
  for (const key of path) if (typeof key !== 'number') inner = shapeOf(inner)?.[String(key)];
  return Object.keys(shapeOf(inner) ?? {});
}

interface Schema {
  shape?: Record<string, unknown>;
  /** Of a union. */
  options?: readonly unknown[];
  unwrap?(): unknown;
}

function shapeOf(schema: unknown): Record<string, unknown> | undefined {
  let inner = schema as Schema | undefined;
  while (inner && !inner.shape && inner.unwrap) inner = inner.unwrap() as Schema;
  if (inner?.shape || !Array.isArray(inner?.options)) return inner?.shape;
  return Object.assign({}, ...inner.options.map(shapeOf));
}

function oneOf(values: readonly unknown[], got: unknown): string {
  return `expected one of ${values.map(String).join(', ')}${hint(got, values)}`;
}

function hint(got: unknown, values: readonly unknown[]): string {
  if (got === undefined) return '';
  if (typeof got !== 'string') return `, got ${kindOf(got)}`;
  const near = nearest(
    got,
    values.filter((value) => typeof value === 'string'),
  );
  return near ? `; did you mean ${near}?` : '';
}

function size(origin: string): string {
  return origin === 'string' ? ' characters' : origin === 'array' ? ' items' : '';
}
