import { isHoldfastError } from '../errors.ts';
import type { TaskContext } from './context.ts';

export type RunBody<T> = (task: TaskContext) => T | PromiseLike<T>;

/**
 * Runs a body with a task, and closes the task whatever happens. What the body throws stays the error that is thrown;
 * what then goes wrong at the end is kept in its `releaseError` (not enumerable), and told by updates of type `error`.
 * @throws ReleaseError when the body is done, and its resources could not be released
 */
export async function runTask<T>(task: TaskContext, body: RunBody<T>): Promise<T> {
  let result: T;
  try {
    result = await body(task);
  } catch (error) {
    await task.fail(error).catch((failure: unknown) => attach(error, failure));
    throw error;
  }
  await task.close();
  return result;
}

function attach(error: unknown, releaseError: unknown): void {
  try {
    if (typeof error === 'object' && error !== null) {
      Object.defineProperty(error, 'releaseError', { value: releaseError, configurable: true });
      return;
    }
  } catch {
    // It is frozen, or odd.
  }
  // There is no other way to tell of it; of ours nothing is a secret.
  process.emitWarning(
    isHoldfastError(releaseError) ? releaseError : 'a task could not be closed',
    'HoldfastWarning',
  );
}
