import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { ClosedError, InvalidInputError } from '../errors.ts';
import { idSchema, parseInput } from '../input.ts';
import { type ProcessFacts, ProcessWatch } from '../monitor/process.ts';
import type { Store, StoreFeatures } from '../store.ts';
import { MAX_TIMER_MS } from '../store-options.ts';
import { timed } from '../timed.ts';
import {
  type Check,
  type CheckFunction,
  type HealthCheck,
  type HealthStatus,
  oneAtATime,
  runCheck,
  statuses,
  worst,
} from './check.ts';
import { type JournalState, readJournalState } from './journal-state.ts';
import { type HealthOptions, mostCounted, type Thresholds, thresholdsOf } from './options.ts';
import { ClockWatch, checkEventLoop, checkMemory } from './process-checks.ts';
import { type Recovery, type RecoveryAction, type RecoveryResult, recoveryActions } from './recovery.ts';
import { checkJournal, checkRoom, checkSchema, checkStore, type StoreAnswer } from './store-checks.ts';

/** How a system is, and why. */
export interface HealthReport {
  status: HealthStatus;
  /** What is not well, the worst first; empty where all is. */
  reasons: string[];
  /** When it was looked at (epoch ms). */
  at: number;
  checks: HealthCheck[];
}

/** All that is known of how a system is, for whoever has to find out what is wrong. */
export interface HealthDiagnosis extends HealthReport {
  store: { name: string; features: StoreFeatures };
  /** Absent where the store can't be asked. */
  journal?: JournalState;
  process: ProcessFacts;
  /** What helps, of what is not well. */
  recommendations: string[];
}

export interface RegisterOptions {
  /** Whether it makes the whole unhealthy when it is, or fails. Default false: degraded at most. */
  critical?: boolean;
  /** How long it may take (milliseconds); as long as any other where absent. */
  timeoutMs?: number;
}

const registerSchema = z.strictObject({
  critical: z.boolean().optional(),
  timeoutMs: z.int().min(1).max(MAX_TIMER_MS).optional(),
});
const recoverSchema = z.strictObject({ timeoutMs: z.int().min(1).max(MAX_TIMER_MS).optional() });

type Listener = (now: HealthReport, before: HealthStatus) => unknown;
const listenerSchema = z.custom<Listener>((value) => typeof value === 'function', 'expected a function');

/** What the health of an engine is told of. */
export interface HealthParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly journalKeepMs: number;
  readonly recovery: Recovery;
  /** Where somebody watches the process already, and stops it as well; else it is watched from the first look on. */
  readonly process?: ProcessWatch | undefined;
  onError(error: unknown): void;
}

/** Names of our own checks, in the order in which they are told. */
const own = ['store', 'schema', 'disk', 'journal', 'memory', 'event-loop', 'clock'] as const;
/** How long a report is believed, whatever calls say (milliseconds). */
const DOUBT_MS = 1000;
/** Without these nothing can be done. */
const critical: readonly string[] = ['store', 'schema', 'disk', 'memory'];

/** How the store, its journal and this process are: of all tenants, and the same in each one's view. */
export class HealthService {
  readonly #parts: HealthParts;
  readonly #timeoutMs: number;
  readonly #betterAfter: number;
  readonly #thresholds: Thresholds;
  readonly #custom = new Map<string, Check>();
  readonly #listeners = new Set<Listener>();
  readonly #process: ProcessWatch;
  readonly #clockWatch: ClockWatch;
  readonly #closing = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  #running: Promise<HealthReport> | undefined;
  #last: HealthReport | undefined;
  #lookedAt = -DOUBT_MS;
  /** As listeners have been told. */
  #told: HealthStatus | undefined;
  #better = 0;

  constructor(parts: HealthParts, options: HealthOptions = {}) {
    const { intervalMs = 0, timeoutMs = 5000, betterAfter = 2, thresholds } = options;
    this.#parts = parts;
    this.#timeoutMs = timeoutMs;
    this.#betterAfter = betterAfter;
    this.#thresholds = thresholdsOf(thresholds);
    this.#process = parts.process ?? new ProcessWatch();
    this.#clockWatch = new ClockWatch(parts.clock);
    if (intervalMs === 0) return;
    this.#process.start();
    this.#timer = setInterval(() => void this.check().catch(ignore), intervalMs).unref();
  }

  /** Looks at everything, now. Who asks while it looks gets the same report. @throws ClosedError */
  async check(): Promise<HealthReport> {
    this.#checkOpen();
    this.#running ??= this.#look().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** The last report; looks where there is none yet. @throws ClosedError */
  async report(): Promise<HealthReport> {
    this.#checkOpen();
    return this.#last ?? this.check();
  }

  /** Looks at everything, and gives what else there is to know: the journal's consumers, the process. @throws ClosedError */
  async diagnose(): Promise<HealthDiagnosis> {
    const report = await this.check();
    const { store } = this.#parts;
    const { name, features } = store;
    const timeoutMs = this.#timeoutMs;
    const most = mostCounted(this.#thresholds.journalLag);
    const journal = await timed((signal) => readJournalState(store, { most, signal }), {
      timeoutMs,
      signal: this.#closing.signal,
    }).catch(ignore);
    return {
      ...report,
      store: { name, features },
      ...(journal && { journal }),
      process: this.#process.read(),
      recommendations: report.checks.flatMap((check) =>
        check.hint === undefined ? [] : [`${check.name}: ${check.hint}`],
      ),
    };
  }

  /**
   * Calls a listener when the status changes: at once when it gets worse, and after two good reports in a row (see
   * `betterAfter`) when it gets better. Its first call is with the first status that is not `healthy`.
   * @returns a function that takes the listener away
   */
  onChange(listener: Listener): () => void {
    this.#checkOpen();
    parseInput(listenerSchema, listener, 'health.onChange: listener');
    const mine: Listener = (now, before) => listener(now, before);
    this.#listeners.add(mine);
    return () => void this.#listeners.delete(mine);
  }

  /**
   * Adds a check of your own; one of the same name is replaced. It may give what it found, or nothing where all is well,
   * and has failed when it throws or takes too long.
   * @returns a function that takes it away
   * @throws InvalidInputError also for the name of one of ours
   */
  register(name: string, run: CheckFunction, options: RegisterOptions = {}): () => void {
    this.#checkOpen();
    parseInput(idSchema, name, 'health.register: name');
    const given = parseInput(registerSchema, options, 'health.register: options');
    const taken = (own as readonly string[]).includes(name);
    const message = taken ? 'is one of the checks that there are' : 'expected a function';
    if (taken || typeof run !== 'function')
      throw new InvalidInputError('health.register', [{ path: taken ? 'name' : 'run', message }]);
    const { critical = false, timeoutMs = this.#timeoutMs } = given;
    const check: Check = { name, run: oneAtATime(run), critical, timeoutMs };
    this.#custom.set(name, check);
    return () => {
      if (this.#custom.get(name) === check) this.#custom.delete(name);
    };
  }

  /**
   * Does something about it: `reconnect` asks the store's server at once whether it is back, over new connections;
   * `replay-spool` brings what a fallback holds into the store; `catch-up-index` indexes what has been committed;
   * `rebuild-index` indexes everything anew, while searches go on. The same action at the same time is done once.
   * @param options.timeoutMs how long to wait (60 000): what takes longer goes on, and `done` is false
   * @throws UnsupportedError where it means nothing for this store; what the action throws
   */
  async recover(action: RecoveryAction, options: { timeoutMs?: number } = {}): Promise<RecoveryResult> {
    this.#checkOpen();
    parseInput(z.enum(recoveryActions), action, 'health.recover: action');
    const { timeoutMs = 60_000 } = parseInput(recoverSchema, options, 'health.recover: options');
    return this.#parts.recovery.run(action, timeoutMs);
  }

  /**
   * Looks out of turn, where it looks regularly: a call has found the store away, and who listens is to know now. Not
   * where that is known already, and once a second at most.
   */
  doubt(): void {
    const isKnown = this.#last?.status === 'unhealthy';
    if (!this.#timer || this.#running || isKnown || performance.now() - this.#lookedAt < DOUBT_MS) return;
    void this.check().catch(ignore);
  }

  /** Looks no more. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort(new ClosedError('engine'));
    if (!this.#parts.process) this.#process.stop();
    this.#listeners.clear();
    this.#parts.recovery.close();
    await this.#running?.catch(ignore);
  }

  async #look(): Promise<HealthReport> {
    this.#lookedAt = performance.now();
    const checks = [...this.#ownChecks(), ...this.#custom.values()];
    const counted: HealthStatus[] = [];
    const looked: HealthCheck[] = [];
    const results = await Promise.all(checks.map((check) => runCheck(check, this.#closing.signal)));
    for (const [i, result] of results.entries()) {
      if (!result) continue;
      looked.push(result);
      counted.push(checks[i]!.critical ? result.status : atMost(result.status));
    }
    const bad = looked.filter(({ status }) => status !== 'healthy');
    const report: HealthReport = {
      status: worst(counted),
      reasons: bad
        .toSorted((a, b) => statuses.indexOf(b.status) - statuses.indexOf(a.status))
        .map(({ name, message }) => `${name}: ${message}`),
      at: this.#parts.clock.now(),
      checks: looked,
    };
    // What was cut short by the end tells nothing of how the system is.
    this.#checkOpen();
    this.#last = report;
    this.#tell(report);
    return report;
  }

  #ownChecks(): Check[] {
    const { store, clock, journalKeepMs: keepMs } = this.#parts;
    const thresholds = this.#thresholds;
    this.#process.start();
    const asked = this.#ask();
    // Those who need the answer fail with it.
    asked.catch(ignore);
    const facts = () => this.#process.read();
    const runs: Record<(typeof own)[number], CheckFunction> = {
      store: async () => checkStore(store, await asked, thresholds),
      schema: async () => checkSchema(await asked),
      disk: async () => checkRoom(await asked, thresholds),
      journal: (signal) => checkJournal(store, thresholds, { now: clock.now(), keepMs, signal }),
      memory: () => checkMemory(facts(), thresholds),
      'event-loop': () => checkEventLoop(facts(), thresholds),
      // It is of use without the store as well.
      clock: async () => this.#clockWatch.check(await asked.catch(() => ({ facts: {} })), thresholds),
    };
    const timeoutMs = this.#timeoutMs;
    return own.map((name) => ({ name, run: runs[name], critical: critical.includes(name), timeoutMs }));
  }

  async #ask(): Promise<StoreAnswer> {
    const start = performance.now();
    const health = await this.#parts.store.health();
    return { ...health, tookMs: Math.round(performance.now() - start) };
  }

  /** Tells listeners what has changed; a status that comes and goes is told once, as the worse one. */
  #tell(report: HealthReport): void {
    const before = this.#told ?? 'healthy';
    const { status } = report;
    const change = statuses.indexOf(status) - statuses.indexOf(before);
    this.#better = change < 0 ? this.#better + 1 : 0;
    if (change === 0 || (change < 0 && this.#better < this.#betterAfter)) return;
    this.#told = status;
    this.#better = 0;
    // One may throw at once or later: neither keeps the others from being told, nor the report from being given.
    for (const listener of [...this.#listeners])
      new Promise((resolve) => resolve(listener(report, before))).catch(this.#parts.onError);
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new ClosedError('engine');
  }
}

/** What is not critical makes the whole degraded at most. */
function atMost(status: HealthStatus): HealthStatus {
  return status === 'unhealthy' ? 'degraded' : status;
}

function ignore(): void {}
