import { ConfigError, isHoldfastError } from '../core/errors.ts';

/** One thing that was looked at. */
export interface Check {
  name: string;
  ok: boolean;
  /** It works, and somebody should look at it. */
  warning?: true;
  message: string;
  hint?: string;
}

/** Runs a check; an error of ours is what it found. */
export async function telling<T>(
  checks: Check[],
  name: string,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    const message = error instanceof ConfigError ? firstIssue(error, name) : error.message;
    const { hint } = error;
    checks.push({ name, ok: false, message, ...(hint !== undefined && { hint }) });
    return undefined;
  }
}

/** With its place where that is another one than what is looked at: `is unknown` alone would not say what is. */
function firstIssue({ issues }: ConfigError, name: string): string {
  const { path, message } = issues[0]!;
  return path === '' || path === name ? message : `${path}: ${message}`;
}
