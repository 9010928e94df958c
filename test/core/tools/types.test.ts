import { type } from 'arktype';
import * as v from 'valibot';
import { describe, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { defineTool, type Tool } from '../../../src/index.ts';

const rest = { name: 'forecast', description: 'Tells the weather.' };

describe('the types of a tool', () => {
  it('come from the schemas, whatever library they are of', () => {
    const byZod = defineTool({
      ...rest,
      input: z.object({ city: z.string(), days: z.int().default(1) }),
      execute: ({ city, days }) => `${city.trim()}, ${days.toFixed()} days`,
    });
    expectTypeOf(byZod).toEqualTypeOf<Tool<{ city: string; days?: number | undefined }, string>>();
    const byValibot = defineTool({
      ...rest,
      input: v.object({ city: v.string() }),
      execute: async ({ city }) => city.length,
    });
    expectTypeOf(byValibot).toEqualTypeOf<Tool<{ city: string }, number>>();
    const byArktype = defineTool({
      ...rest,
      input: type({ city: 'string' }),
      execute: ({ city }) => ({ city }),
    });
    expectTypeOf(byArktype).toEqualTypeOf<Tool<{ city: string }, { city: string }>>();
    const byJsonSchema = defineTool({
      ...rest,
      input: { type: 'object' },
      execute: ({ city }) => typeof city,
    });
    expectTypeOf(byJsonSchema).toEqualTypeOf<
      Tool<
        Record<string, unknown>,
        'string' | 'number' | 'bigint' | 'boolean' | 'symbol' | 'undefined' | 'object' | 'function'
      >
    >();
  });

  it('let a result be what the schema of the output makes of it', () => {
    const tool = defineTool({
      ...rest,
      input: z.object({}),
      output: z.object({ at: z.string().transform((text) => text.length) }),
      execute: () => ({ at: 'noon' }),
    });
    expectTypeOf(tool).toEqualTypeOf<Tool<Record<string, never>, { at: number }>>();
  });

  it('let every tool go where any tool is asked for', () => {
    const tools: Tool[] = [defineTool({ ...rest, input: z.object({ a: z.string() }), execute: () => 1 })];
    expectTypeOf(tools).toEqualTypeOf<Tool[]>();
  });
});
