import PQueue from 'p-queue';
import type { ServiceContext } from '../services.ts';
import { ResultCache } from './cache.ts';
import { Flights } from './flights.ts';
import type { Shaped } from './large.ts';
import { type RateLimiter, rateLimiterOf } from './rate.ts';
import { CallCounts } from './stats.ts';
import type { Tool } from './tool.ts';

/** What one tool needs besides itself, in one tenant. It goes when the tool goes. */
export class ToolState {
  readonly counts = new CallCounts();
  readonly cache: ResultCache | undefined;
  readonly flights = new Flights<Shaped>();
  readonly queue: PQueue | undefined;
  readonly #tool: Tool;
  readonly #context: ServiceContext;
  #limiter: RateLimiter | undefined;

  constructor(tool: Tool, context: ServiceContext) {
    this.#tool = tool;
    this.#context = context;
    this.cache = tool.cache && new ResultCache(tool.cache, context.clock);
    this.queue =
      tool.maxConcurrent === undefined ? undefined : new PQueue({ concurrency: tool.maxConcurrent });
  }

  get limiter(): RateLimiter {
    this.#limiter ??= rateLimiterOf(this.#tool, this.#context);
    return this.#limiter;
  }
}
