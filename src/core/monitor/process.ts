import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';

/** How often the event loop is looked at (milliseconds): a timer that comes later than that tells the delay. */
const RESOLUTION_MS = 20;
/** From which age on a window tells its 99th percentile: of a few looks it would be the worst one (milliseconds). */
const PERCENTILE_MS = 5000;
const NS_PER_MS = 1e6;
const US_PER_MS = 1000;

/** How the process is doing. What changes from moment to moment is of the last one or two windows of time. */
export interface ProcessFacts {
  memory: {
    /** All that the process holds of the machine's memory (bytes). */
    rssBytes: number;
    heapUsedBytes: number;
    heapTotalBytes: number;
    /** Where V8 gives up (bytes): `--max-old-space-size`. */
    heapLimitBytes: number;
    /** Buffers and what native code holds for JavaScript (bytes). */
    externalBytes: number;
    /** What the process may hold, where a container or the machine limits it (bytes). */
    limitBytes?: number;
  };
  eventLoop: {
    /** How much later than due timers came (milliseconds). */
    delayMeanMs: number;
    /** 0 in the first five seconds, in which it can't be told. */
    delayP99Ms: number;
    delayMaxMs: number;
    /** The share of the time in which the event loop was busy, 0 to 1. */
    utilization: number;
  };
  /** CPU time over elapsed time: 1 is one core, all the time. */
  cpu: number;
  uptimeMs: number;
}

interface Window {
  readonly delayMeanMs: number;
  readonly delayP99Ms: number;
  readonly delayMaxMs: number;
  readonly utilization: number;
  readonly cpu: number;
}

/**
 * Watches the process from `start` to `stop`. It keeps no process alive, and shares nothing with others of its kind.
 * Delays, CPU and utilization are of a window of time and the one before it, the worse of the two.
 */
export class ProcessWatch implements Disposable {
  readonly #windowMs: number;
  readonly #delay: ReturnType<typeof monitorEventLoopDelay>;
  #timer: NodeJS.Timeout | undefined;
  #before: Window | undefined;
  #cpu = process.cpuUsage();
  #loop: EventLoopUtilization = performance.eventLoopUtilization();
  #since = performance.now();

  /** @param options.windowMs how long a window is (milliseconds; 30 000) */
  constructor(options: { windowMs?: number } = {}) {
    this.#windowMs = options.windowMs ?? 30_000;
    this.#delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  }

  /** Starts to look; a second start does nothing. */
  start(): this {
    if (this.#timer) return this;
    this.#delay.enable();
    this.#turn();
    this.#before = undefined;
    this.#timer = setInterval(() => this.#turn(), this.#windowMs).unref();
    return this;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#delay.disable();
  }

  [Symbol.dispose](): void {
    this.stop();
  }

  read(): ProcessFacts {
    const now = this.#window();
    const before = this.#before ?? now;
    return {
      memory: memoryFacts(),
      eventLoop: {
        delayMeanMs: Math.max(now.delayMeanMs, before.delayMeanMs),
        delayP99Ms: Math.max(now.delayP99Ms, before.delayP99Ms),
        delayMaxMs: Math.max(now.delayMaxMs, before.delayMaxMs),
        utilization: Math.max(now.utilization, before.utilization),
      },
      cpu: Math.max(now.cpu, before.cpu),
      uptimeMs: process.uptime() * 1000,
    };
  }

  #turn(): void {
    this.#before = this.#window();
    this.#delay.reset();
    this.#cpu = process.cpuUsage();
    this.#loop = performance.eventLoopUtilization();
    this.#since = performance.now();
  }

  #window(): Window {
    const { user, system } = process.cpuUsage(this.#cpu);
    const elapsedMs = Math.max(1, performance.now() - this.#since);
    const none = this.#delay.count === 0;
    const isOld = elapsedMs >= Math.min(PERCENTILE_MS, this.#windowMs);
    return {
      delayMeanMs: none ? 0 : delayMs(this.#delay.mean),
      delayP99Ms: none || !isOld ? 0 : delayMs(this.#delay.percentile(99)),
      delayMaxMs: none ? 0 : delayMs(this.#delay.max),
      utilization: performance.eventLoopUtilization(this.#loop).utilization,
      cpu: (user + system) / US_PER_MS / elapsedMs,
    };
  }
}

/** The memory of the process now. */
export function memoryFacts(): ProcessFacts['memory'] {
  const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
  // 0 or beyond all memory there is where nothing limits it.
  const limit = process.constrainedMemory();
  return {
    rssBytes: rss,
    heapUsedBytes: heapUsed,
    heapTotalBytes: heapTotal,
    heapLimitBytes: getHeapStatistics().heap_size_limit,
    externalBytes: external,
    ...(limit > 0 && limit < Number.MAX_SAFE_INTEGER && { limitBytes: limit }),
  };
}

/** Node tells the time between two looks; what is beyond the resolution is delay. */
function delayMs(betweenNs: number): number {
  return Math.max(0, betweenNs / NS_PER_MS - RESOLUTION_MS);
}
