/** What is looked at in the process: its memory, its event loop, its clock. */
import type { Clock } from '../clock.ts';
import type { ProcessFacts } from '../monitor/process.ts';
import { type CheckOutcome, levelOf, worst } from './check.ts';
import type { Thresholds } from './options.ts';
import type { StoreAnswer } from './store-checks.ts';

export function checkMemory({ memory }: ProcessFacts, thresholds: Thresholds): CheckOutcome {
  const { heapUsedBytes, heapLimitBytes, rssBytes, limitBytes } = memory;
  const heap = heapUsedBytes / heapLimitBytes;
  const all = limitBytes === undefined ? 0 : rssBytes / limitBytes;
  const status = worst([levelOf(heap, thresholds.memory), levelOf(all, thresholds.memory)]);
  const ofAll = limitBytes === undefined ? '' : `, ${percent(all)} of what the process may have`;
  return {
    status,
    message: `${percent(heap)} of the heap${ofAll}`,
    ...(status !== 'healthy' && { hint: 'Give the process more memory, or a heap by --max-old-space-size.' }),
    facts: { rssBytes, heapUsedBytes, heapLimitBytes, ...(limitBytes !== undefined && { limitBytes }) },
  };
}

export function checkEventLoop({ eventLoop }: ProcessFacts, { eventLoopMs }: Thresholds): CheckOutcome {
  const { delayMeanMs, delayP99Ms, delayMaxMs, utilization } = eventLoop;
  const status = levelOf(delayP99Ms, eventLoopMs);
  const facts = {
    delayMeanMs: round(delayMeanMs),
    delayP99Ms: round(delayP99Ms),
    delayMaxMs: round(delayMaxMs),
    utilization: Math.round(utilization * 1000) / 1000,
  };
  return {
    status,
    message: `timers come ${facts.delayP99Ms} ms late at the 99th percentile`,
    ...(status !== 'healthy' && { hint: 'Something computes for long in this process: give it a thread.' }),
    facts,
  };
}

/** How long a jump of the clock is told of. */
const TOLD_MS = 5 * 60_000;

/** Compares the clock with the time that has passed. */
export class ClockWatch {
  readonly #clock: Clock;
  #wall: number;
  #passed = performance.now();
  #jump: { byMs: number; at: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#wall = clock.now();
  }

  check({ facts }: Pick<StoreAnswer, 'facts'>, { clockJumpMs, clockSkewMs }: Thresholds): CheckOutcome {
    const byMs = this.#moved(clockJumpMs.degraded);
    const jump = levelOf(Math.abs(byMs), clockJumpMs);
    const skewMs = typeof facts.clockSkewMs === 'number' ? facts.clockSkewMs : 0;
    const skew = levelOf(Math.abs(skewMs), clockSkewMs);
    const told = [
      ...(jump === 'healthy' ? [] : [`has moved by ${seconds(byMs)} against the time that passed`]),
      ...(skew === 'healthy' ? [] : [`is ${seconds(skewMs)} off that of the store's server`]),
    ];
    return {
      status: worst([jump, skew]),
      message: told.length > 0 ? told.join('; ') : 'goes as it should',
      ...(told.length > 0 && { hint: 'Time stamps and expiry go by it, no order does: let NTP keep it.' }),
      facts: { jumpMs: byMs, ...(facts.clockSkewMs !== undefined && { skewMs }) },
    };
  }

  /** By how much it has jumped lately (milliseconds); 0 where it has not. */
  #moved(leastMs: number): number {
    const [wall, passed] = [this.#clock.now(), performance.now()];
    const byMs = Math.round(wall - this.#wall - (passed - this.#passed));
    [this.#wall, this.#passed] = [wall, passed];
    if (Math.abs(byMs) >= leastMs) this.#jump = { byMs, at: passed };
    else if (this.#jump && passed - this.#jump.at > TOLD_MS) this.#jump = undefined;
    return this.#jump?.byMs ?? 0;
  }
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
