/** Tools that are handed out to another library, which calls them. */
import { z } from 'zod';
import { InvalidInputError } from '../errors.ts';
import { executeSchema } from './options.ts';
import type { Tool } from './tool.ts';
import type { ToolCallOptions, ToolService } from './tools.ts';

/** For whom the tools are called, and which of them are offered. */
export interface HandedOutOptions extends Omit<ToolCallOptions, 'signal' | 'toolCallId' | 'approved'> {
  /** The tools to offer, by name. All that are registered unless given. */
  names?: readonly string[];
}

export const handedOutSchema = executeSchema
  .omit({ signal: true, toolCallId: true, approved: true })
  .extend({ names: z.array(z.string()).optional() });

/**
 * The tools of those names, or all.
 * @param what the function they are asked of, in error messages
 * @throws InvalidInputError where `tools` are none of an engine's, NotFoundError for a name that is not registered
 */
export function handedOut(tools: ToolService, names: readonly string[] | undefined, what: string): Tool[] {
  const { list, execute } = (tools ?? {}) as Partial<ToolService>;
  if (typeof list !== 'function' || typeof execute !== 'function')
    throw new InvalidInputError(what, [{ path: 'tools', message: 'expected engine.tools' }]);
  return names ? names.map((name) => tools.get(name)) : tools.list();
}
