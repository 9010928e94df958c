import { HoldfastError, InvalidInputError, quote, ReleaseError } from '../errors.ts';
import { isA } from '../thrown.ts';
import { TookTooLong, timed } from '../timed.ts';
import { isClosedAlready } from './failure.ts';

/** Looked for in this order. */
const METHODS = [Symbol.asyncDispose, Symbol.dispose, 'close', 'end', 'destroy', 'release'] as const;
/** Where nothing can be waited for. */
const SYNC_METHODS = [Symbol.dispose, 'close', 'end', 'destroy', 'release', Symbol.asyncDispose] as const;

interface Held {
  name: string;
  resource: object;
  timeoutMs: number;
}

/** A resource that could not be released. */
export interface ReleaseFailure {
  name: string;
  error: unknown;
}

/** What a task holds open, released in reverse order, each once. */
export class Resources {
  #held: Held[] = [];

  get names(): string[] {
    return this.#held.map(({ name }) => name);
  }

  /** Two resources may have the same name: both are released. @throws InvalidInputError for what can't be released */
  add(name: string, resource: object, timeoutMs: number): void {
    const holder = typeof resource === 'object' || typeof resource === 'function' ? resource : undefined;
    if (!holder || !methodOf(holder, METHODS)) {
      const known = METHODS.map((method) =>
        typeof method === 'symbol' ? `[${method.description}]` : method,
      );
      throw new InvalidInputError('addResource', [
        { path: 'resource', message: `has none of the methods that release one: ${known.join(', ')}` },
      ]);
    }
    this.#held.push({ name, resource: holder, timeoutMs });
  }

  /** Releases those of one name, or all. @returns those that could not be */
  async release(name?: string): Promise<ReleaseFailure[]> {
    const failures: ReleaseFailure[] = [];
    for (const held of this.#take(name)) {
      try {
        const never = new AbortController().signal;
        await timed(async () => call(held.resource, METHODS), { timeoutMs: held.timeoutMs, signal: never });
      } catch (error) {
        if (!isClosedAlready(error)) failures.push({ name: held.name, error: explained(held, error) });
      }
    }
    return failures;
  }

  /** The same at once. One whose end can't be waited for is told to go, and counts as a failure. */
  releaseSync(): ReleaseFailure[] {
    const failures: ReleaseFailure[] = [];
    for (const { name, resource } of this.#take()) {
      try {
        const result = call(resource, SYNC_METHODS);
        if (!isThenable(result)) continue;
        result.then(undefined, () => undefined);
        failures.push({ name, error: asynchronous(`resource ${quote(name)}`) });
      } catch (error) {
        if (!isClosedAlready(error)) failures.push({ name, error });
      }
    }
    return failures;
  }

  /** The newest first. An object that is held under several names is released in the place of the newest. */
  #take(name?: string): Held[] {
    const taken = this.#held.filter((held) => name === undefined || held.name === name).reverse();
    this.#held = name === undefined ? [] : this.#held.filter((held) => held.name !== name);
    const seen = new Set(this.#held.map(({ resource }) => resource));
    return taken.filter(({ resource }) => !seen.has(resource) && seen.add(resource));
  }
}

export function asynchronous(what: string): HoldfastError {
  return new HoldfastError('release', `${what} is asynchronous: it was told to end, but not waited for`, {
    hint: 'Use `await using` in place of `using`.',
  });
}

/** All that went wrong when a task was closed, as one error; undefined where nothing did. */
export function releaseError(failures: readonly ReleaseFailure[]): ReleaseError | undefined {
  return failures.length === 0 ? undefined : new ReleaseError(failures);
}

function explained({ name, timeoutMs }: Held, error: unknown): unknown {
  if (!isA(error, TookTooLong)) return error;
  return new HoldfastError('release', `resource ${quote(name)} was not released within ${timeoutMs} ms`, {
    hint: 'Give it more time: addResource(name, resource, { timeoutMs }).',
    cause: error,
  });
}

type Methods = readonly (symbol | string)[];

function methodOf(resource: object, methods: Methods): (() => unknown) | undefined {
  for (const name of methods) {
    const method = (resource as Record<symbol | string, unknown>)[name];
    if (typeof method === 'function') return method as () => unknown;
  }
  return undefined;
}

function call(resource: object, methods: Methods): unknown {
  return methodOf(resource, methods)?.call(resource);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}
