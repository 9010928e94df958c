import { GRACE_MS } from '../concurrency/options.ts';
import type { ServiceContext } from '../services.ts';
import { ResultCache } from './cache.ts';
import { Flights } from './flights.ts';
import type { Shaped } from './large.ts';
import { type RateLimiter, rateLimiterOf } from './rate.ts';
import { Slots } from './slots.ts';
import { CallCounts } from './stats.ts';
import type { Tool } from './tool.ts';

/** What one tool needs besides itself, in one tenant. It goes when the tool goes. */
export class ToolState {
  readonly counts = new CallCounts();
  readonly cache: ResultCache | undefined;
  readonly flights = new Flights<Shaped>();
  readonly slots: Slots | undefined;
  readonly #tool: Tool;
  readonly #context: ServiceContext;
  #limiter: RateLimiter | undefined;

  constructor(tool: Tool, context: ServiceContext) {
    this.#tool = tool;
    this.#context = context;
    this.cache = tool.cache && new ResultCache(tool.cache, context.clock);
    const { graceMs = GRACE_MS } = context.defaults.concurrency ?? {};
    this.slots = tool.maxConcurrent === undefined ? undefined : new Slots(tool.maxConcurrent, graceMs);
  }

  get limiter(): RateLimiter {
    this.#limiter ??= rateLimiterOf(this.#tool, this.#context);
    return this.#limiter;
  }
}
