import { type Clock, systemClock } from '../clock.ts';
import { isHoldfastError } from '../errors.ts';
import { kindOf } from '../thrown.ts';

/** How work ends: for whoever waits for it. */
export type Outcome = 'completed' | 'failed' | 'cancelled' | 'timedOut';

/** How long something took, so far. */
export interface Durations {
  count: number;
  totalMs: number;
  maxMs: number;
}

export interface WorkCounts {
  running: number;
  queued: number;
  completed: number;
  failed: number;
  cancelled: number;
  timedOut: number;
  /** Functions that go on after their time was over, or after they were cancelled, right now. */
  lingering: number;
  /** Refused because there was no room. */
  refused: number;
}

/** What is known of one kind of work since the engine was opened. */
export interface KindStats extends WorkCounts {
  /** From when it was submitted to when it started. */
  waitMs: Durations;
  /** From when it started to its outcome. */
  runMs: Durations;
  /** Failures since it last succeeded. */
  failuresInARow: number;
  /** The last failure: an error's code where it is one of Holdfast's, else its name; and when (epoch milliseconds). */
  lastError?: { code: string; at: number };
}

/** More kinds than these are counted together, under this name. */
const MOST_KINDS = 100;
const OTHERS = 'other';
/** A name is told; what may be content is not. */
const NAME = /^[A-Za-z_$][\w$.-]{0,63}$/;

/** Counts work by its kind. */
export class Tally {
  readonly #clock: Clock;
  readonly #kinds = new Map<string, KindStats>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Counts a piece of work that has come and waits. */
  arrived(kind: string): Piece {
    return new Piece(this.#of(kind), this.#clock);
  }

  refused(kind: string): void {
    this.#of(kind).refused++;
  }

  /** Counts a failure within work that goes on. */
  failing(kind: string, error: unknown): void {
    noteFailure(this.#of(kind), error, this.#clock);
  }

  /** All kinds together. */
  totals(): WorkCounts {
    const sum = noCounts();
    for (const kind of this.#kinds.values())
      for (const field of Object.keys(sum) as (keyof WorkCounts)[]) sum[field] += kind[field];
    return sum;
  }

  kinds(): Record<string, KindStats> {
    return Object.fromEntries([...this.#kinds].map(([name, kind]) => [name, structuredClone(kind)]));
  }

  #of(name: string): KindStats {
    const known = this.#kinds.get(name);
    if (known) return known;
    if (this.#kinds.size >= MOST_KINDS && name !== OTHERS) return this.#of(OTHERS);
    const kind = { ...noCounts(), waitMs: none(), runMs: none(), failuresInARow: 0 };
    this.#kinds.set(name, kind);
    return kind;
  }
}

/** One piece of work, counted from its coming to its end. */
export class Piece {
  readonly #kind: KindStats;
  readonly #clock: Clock;
  #since = performance.now();
  #running = false;

  constructor(kind: KindStats, clock: Clock) {
    this.#kind = kind;
    this.#clock = clock;
    kind.queued++;
  }

  started(): void {
    this.#kind.queued--;
    this.#kind.running++;
    this.#running = true;
    this.#since = add(this.#kind.waitMs, this.#since);
  }

  /** @param lingers whether its function goes on: {@link left} tells when that has ended */
  ended(outcome: Outcome, { error, lingers = false }: { error?: unknown; lingers?: boolean } = {}): void {
    const kind = this.#kind;
    if (this.#running) {
      kind.running--;
      add(kind.runMs, this.#since);
    } else kind.queued--;
    kind[outcome]++;
    if (outcome === 'completed') kind.failuresInARow = 0;
    if (outcome === 'failed' || outcome === 'timedOut') noteFailure(kind, error, this.#clock);
    if (lingers) kind.lingering++;
  }

  left(): void {
    this.#kind.lingering--;
  }
}

function noteFailure(kind: KindStats, error: unknown, clock: Clock): void {
  kind.failuresInARow++;
  kind.lastError = { code: codeOf(error), at: clock.now() };
}

function codeOf(error: unknown): string {
  if (isHoldfastError(error)) return error.code;
  const kind = kindOf(error);
  return NAME.test(kind) ? kind : 'unknown';
}

/** @returns now */
function add(durations: Durations, since: number): number {
  const now = performance.now();
  durations.count++;
  durations.totalMs += now - since;
  durations.maxMs = Math.max(durations.maxMs, now - since);
  return now;
}

function none(): Durations {
  return { count: 0, totalMs: 0, maxMs: 0 };
}

function noCounts(): WorkCounts {
  return {
    running: 0,
    queued: 0,
    completed: 0,
    failed: 0,
    cancelled: 0,
    timedOut: 0,
    lingering: 0,
    refused: 0,
  };
}
