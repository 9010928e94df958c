/** The command line asks for what can't be done: said without a stack, with exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
