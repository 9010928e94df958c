/** Limits of how often a tool is called, over all processes on a store. */
import { createHash } from 'node:crypto';
import type {
  IRateLimiterStoreOptions,
  RateLimiterRes,
  RateLimiterStoreAbstract,
} from 'rate-limiter-flexible';
import { HoldfastError } from '../errors.ts';
import { kinds, toolRatePartition } from '../partitions.ts';
import type { ServiceContext } from '../services.ts';
import type { Operation } from '../store.ts';
import { loadRateLimiter } from './libraries.ts';
import type { Tool, ToolScope } from './tool.ts';

/** How long after its window a count may be swept away (milliseconds): clocks differ. */
const KEPT_MS = 60_000;
/** Keys whose window a process remembers. */
const MAX_SEEN = 10_000;

export interface RateLimiter {
  /** @throws HoldfastError `rate-limited`, and what the store throws: a limit that can't be counted allows nothing */
  take(key: string): Promise<void>;
}

/** What the counts of a call go by. Calls that name no user, or no session, are counted together. */
export function scopeKey(
  scope: ToolScope | undefined,
  { userId, sessionId }: { userId?: string | undefined; sessionId?: string | undefined },
): string {
  if (scope === 'user') return userId ?? '';
  return scope === 'session' ? (sessionId ?? '') : '';
}

/** What a tool's calls of one tenant are counted with. The library is loaded when the first limit is needed. */
export function rateLimiterOf(tool: Tool, context: ServiceContext): RateLimiter {
  const { calls, perMs, scope = 'tool' } = tool.rateLimit!;
  const { Base, Result } = loadRateLimiter();
  const StoreLimiter = storeLimiter(Base, Result);
  const name = createHash('sha256')
    .update(JSON.stringify([tool.name, scope, perMs]))
    .digest('base64url');
  const limiter = new StoreLimiter(context, name, {
    points: calls,
    duration: perMs / 1000,
    storeClient: context.store,
    // Who is over the limit is told so from memory until the window ends.
    inMemoryBlockOnConsumed: calls,
  });
  const take = async (key: string): Promise<void> => {
    try {
      await limiter.consume(key);
    } catch (error) {
      if (!(error instanceof Result)) throw error;
      if (error.msBeforeNext <= perMs) throw limited(tool, error);
      // No window lasts that long: the clock was set back since it was noted who is over the limit.
      limiter.deleteInMemoryBlockedAll();
      await take(key);
    }
  };
  return { take };
}

function limited({ name, rateLimit }: Tool, { msBeforeNext }: RateLimiterRes): HoldfastError {
  const { calls, perMs, scope = 'tool' } = rateLimit!;
  const retryAfterMs = Math.max(1, Math.ceil(msBeforeNext));
  return new HoldfastError('rate-limited', `${calls} calls in ${perMs} ms is the limit of the tool ${name}`, {
    hint: `Try again in ${retryAfterMs} ms.`,
    details: { tool: name, scope, retryAfterMs },
  });
}

interface Count {
  consumed: number;
  leftMs: number;
}

/** The library's limiter on our port: a counter for each key and window, which every process adds to without reading. */
function storeLimiter(Base: typeof RateLimiterStoreAbstract, Result: typeof RateLimiterRes) {
  return class StoreLimiter extends Base {
    readonly #context: ServiceContext;
    readonly #name: string;
    /** The window that a key was last counted in here, by key. */
    readonly #seen = new Map<string, number>();

    constructor(context: ServiceContext, name: string, options: IRateLimiterStoreOptions) {
      super(options);
      this.#context = context;
      this.#name = name;
    }

    /** Windows begin at whole multiples of their length, so that all processes have the same. */
    async _upsert(key: string, points: number, durationMs: number): Promise<Count> {
      const { store, tenant, clock } = this.#context;
      const now = clock.now();
      const length = Math.round(durationMs);
      const window = Math.floor(now / length);
      const endsAt = (window + 1) * length;
      const add: Operation = {
        op: 'add',
        kind: kinds.toolRate,
        id: String(window),
        deltas: { calls: points },
      };
      const operations = this.#seen.get(key) === window ? [add] : [add, ...this.#turn(key, window, endsAt)];
      const partition = toolRatePartition(tenant, this.#name, key);
      const { results } = await store.commit({ partition, operations });
      return { consumed: results[0]!.counters!.calls!, leftMs: endsAt - now };
    }

    /**
     * What the first count of a process in a window does besides, so that nothing stays: older windows go. Not the one
     * before, in which a process may be whose clock is behind.
     */
    #turn(key: string, window: number, endsAt: number): Operation[] {
      const before = this.#seen.get(key) ?? window;
      if (this.#seen.size >= MAX_SEEN) this.#seen.clear();
      this.#seen.set(key, window);
      const older = new Set([window - 2, before - 1, before].filter((one) => one < window - 1));
      const gone = [...older].map(
        (one): Operation => ({ op: 'delete', kind: kinds.toolRate, id: String(one) }),
      );
      return [...gone, { op: 'expire', at: endsAt + KEPT_MS }];
    }

    _getRateLimiterRes(_key: string, changed: number, { consumed, leftMs }: Count): RateLimiterRes {
      return new Result(Math.max(0, this.points - consumed), leftMs, consumed, consumed === changed);
    }
  };
}
