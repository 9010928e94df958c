import { isConflict, isHoldfastError, isUnavailable, NotFoundError } from '../errors.ts';
import { idSchema, parseInput } from '../input.ts';
import type { Compaction, CompactionResult } from '../model/compaction.ts';
import { missingSession, type ServiceContext } from '../services.ts';
import type { Activity } from '../sessions/activity.ts';
import type { TokenCounter } from '../tokens/counter.ts';
import type { TokenLedger } from '../tokens/ledger.ts';
import { PER_REQUEST } from '../tokens/message-tokens.ts';
import {
  type CompactedLog,
  CompactionLog,
  isLostHead,
  type KeptCompaction,
  toCompaction,
} from './compaction-log.ts';
import { Compactor } from './compactor.ts';
import { CompactionGuard } from './guard.ts';
import { verdict, withUndone } from './head.ts';
import {
  type CompactionOptions,
  type CompactionSettings,
  type CompactOptions,
  compactionSettings,
  compactionsSchema,
  compactSchema,
  strategiesOf,
  undoSchema,
} from './options.ts';

/** After a compaction that was of no use, or was undone, so many messages pass before the next one is made by itself. */
const REST = 64;
const MAX_REMEMBERED = 10_000;
const MAX_ATTEMPTS = 32;

/** A window that was built, as far as it decides whether a compaction is due. */
export interface BuiltFor extends CompactedLog {
  counter: TokenCounter;
  /** What its messages may cost: in the provider's tokens, and in the counter's. */
  forTokens: number;
  room: number;
  /** What turns may cost once there is more than the window holds: some of the room is then for what is recalled. */
  longRoom: number;
  /** What system prompt and pinned messages cost, and all its messages, in the counter's tokens. */
  fixed: number;
  tokens: number;
  /** Turns were left out because they didn't fit. */
  full: boolean;
  /** The end of the log. */
  atSeq: number;
}

/** Compactions of sessions: made when asked for, or by themselves when a window gets full. */
export class CompactionService {
  /** Through which messages are changed. */
  readonly guard: CompactionGuard;
  readonly #context: ServiceContext;
  readonly #activity: Activity;
  readonly #ledger: TokenLedger;
  readonly #log: CompactionLog;
  readonly #compactor: Compactor;
  readonly #settings: CompactionSettings;
  readonly #onError: (error: unknown) => void;
  readonly #closing = new AbortController();
  /** Those that are under way by themselves: one a log. */
  readonly #running = new Map<string, Promise<CompactionResult | undefined>>();
  /** Up to where in its log a session is left alone. */
  readonly #resting = new Map<string, number>();

  constructor(
    context: ServiceContext,
    services: { activity: Activity; ledger: TokenLedger; onError: (error: unknown) => void },
    options?: CompactionOptions,
  ) {
    this.#context = context;
    this.#activity = services.activity;
    this.#ledger = services.ledger;
    this.#onError = services.onError;
    this.#settings = compactionSettings(options);
    this.#log = new CompactionLog(context);
    this.guard = new CompactionGuard(this.#log);
    const { activity, ledger } = services;
    this.#compactor = new Compactor(context, { activity, ledger, compactions: this.#log }, this.#settings);
  }

  /** The compaction that a window stands on; none where that can't be told while the store is away. */
  async find(
    at: CompactedLog,
    maxTokens: number,
    atSeq: number | undefined,
  ): Promise<KeptCompaction | undefined> {
    try {
      return await this.#log.find(at, maxTokens, atSeq);
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      return undefined;
    }
  }

  get(at: CompactedLog, id: string): Promise<KeptCompaction | undefined> {
    return this.#log.get(at, id);
  }

  async compact(sessionId: string, options: CompactOptions = {}): Promise<CompactionResult> {
    parseInput(idSchema, sessionId, 'window.compact: sessionId');
    const given = parseInput(compactSchema, options, 'window.compact');
    const { targetTokens, channel, model, summarizer, signal } = given;
    const { lowWater, strategy, summarizer: usual } = this.#settings;
    const counter = await this.#ledger.counter(model);
    const stop = [this.#closing.signal, ...(signal ? [signal] : [])];
    const asked = strategiesOf(given.strategy);
    try {
      return await this.#run({
        sessionId,
        channel,
        counter,
        strategies: asked ?? strategy,
        summarizer: summarizer ?? usual,
        target: (fixed, tokens) => targetTokens ?? Math.floor(fixed + (tokens - fixed) * lowWater),
        signal: AbortSignal.any(stop),
      });
    } catch (error) {
      throw missingSession(error, sessionId);
    }
  }

  async list(
    sessionId: string,
    options: { limit?: number; before?: string; channel?: string } = {},
  ): Promise<Compaction[]> {
    parseInput(idSchema, sessionId, 'window.compactions: sessionId');
    const { limit = 50, before, channel } = parseInput(compactionsSchema, options, 'window.compactions');
    await this.#activity.check(sessionId);
    return this.#log.list({ sessionId, channel }, { limit, before });
  }

  async undo(sessionId: string, id?: string, options: { channel?: string } = {}): Promise<Compaction> {
    parseInput(idSchema, sessionId, 'window.undo: sessionId');
    const wanted = id === undefined ? undefined : parseInput(idSchema, id, 'window.undo: id');
    const { channel } = parseInput(undoSchema, options, 'window.undo');
    await this.#activity.check(sessionId);
    const at = { sessionId, channel };
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#tryUndo(at, wanted);
      } catch (error) {
        if (!isLostHead(error) || attempt === MAX_ATTEMPTS) throw missingSession(error, sessionId);
      }
    }
  }

  /**
   * Makes a compaction where a window shows that one is due. In the background nothing is waited for.
   * @returns whether there is a new one by now
   */
  async afterBuild(built: BuiltFor): Promise<boolean> {
    const { autoCompact, background, highWater } = this.#settings;
    if (!autoCompact || this.#closing.signal.aborted) return false;
    const mark = built.fixed + (built.room - built.fixed) * highWater;
    if (!built.full && built.tokens < mark) return false;
    const key = keyOf(built);
    if (built.atSeq < (this.#resting.get(restKeyOf(built)) ?? 0)) return false;
    let running = this.#running.get(key);
    if (!running) {
      running = this.#runByItself(built).finally(() => this.#running.delete(key));
      this.#running.set(key, running);
    }
    if (background) return false;
    return (await running)?.compaction !== undefined;
  }

  /** Resolves when no compaction is under way that was started by itself. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  /** Ends those that are under way; they change nothing. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.settled();
  }

  async #runByItself(built: BuiltFor): Promise<CompactionResult | undefined> {
    const { atSeq } = built;
    try {
      const restUntil = (await this.#log.head(built))?.value.restUntil ?? 0;
      if (atSeq < restUntil) {
        this.#rest(built, restUntil);
        return undefined;
      }
      const make = () => this.#makeByItself(built);
      const { background } = this.#context;
      // One that a window waits for is work of its caller.
      const result = await (this.#settings.background
        ? background.run('compaction', make, this.#closing.signal)
        : background.track('compaction', make));
      const reason = result?.refused?.reason;
      if (reason === 'saves-too-little' || reason === 'nothing-to-compact') this.#rest(built, atSeq + REST);
      return result;
    } catch (error) {
      if (this.#isOfNoConcern(error)) return undefined;
      this.#rest(built, atSeq + REST);
      this.#onError(error);
      return undefined;
    }
  }

  /** Makes one, and tells the log what came of it. */
  async #run(request: Parameters<Compactor['run']>[0]): Promise<CompactionResult> {
    const result = await this.#compactor.run(request);
    const { sessionId, channel } = request;
    const where = { sessionId, ...(channel !== undefined && { channel }) };
    const { compaction, refused } = result;
    if (compaction) {
      const { id, strategy, tokensBefore, tokensAfter } = compaction;
      this.#context.log.info({ ...where, id, strategy, tokensBefore, tokensAfter }, 'compaction made');
    } else if (refused) this.#context.log.info({ ...where, reason: refused.reason }, 'compaction refused');
    return result;
  }

  /** @returns undefined where nobody is concerned any longer */
  async #makeByItself(built: BuiltFor): Promise<CompactionResult | undefined> {
    const { sessionId, channel, counter, forTokens, longRoom } = built;
    const { strategy, summarizer, lowWater } = this.#settings;
    try {
      return await this.#run({
        sessionId,
        channel,
        counter,
        forTokens,
        strategies: strategy,
        summarizer,
        target: (fixed) => Math.floor(fixed + Math.max(0, longRoom + PER_REQUEST - fixed) * lowWater),
        signal: this.#closing.signal,
      });
    } catch (error) {
      if (this.#isOfNoConcern(error)) return undefined;
      throw error;
    }
  }

  async #tryUndo(at: CompactedLog, wanted: string | undefined): Promise<Compaction> {
    const { head, version } = await this.#log.headOrEmpty(at);
    let first: KeptCompaction | undefined;
    if (wanted !== undefined) first = await this.#log.get(at, wanted);
    else {
      for await (const one of this.#log.all(at, 4)) {
        first = verdict(head, one) ? undefined : one;
        if (first) break;
      }
    }
    if (!first) {
      const hint = `None counts${wanted === undefined ? '' : ' by that id'}: \`window.compactions\` lists those that were made.`;
      throw new NotFoundError('compaction', wanted ?? 'newest', { hint });
    }
    if (verdict(head, first)) return toCompaction(first, head);
    const lastId = await this.#log.lastId(at);
    // Who is making one goes on from what is undone now.
    const { lease: _, ...free } = head;
    const undone = withUndone(free, Number(first.id), lastId, this.#context.clock.now());
    const counted = await this.#log.recounted(at, undone);
    const restUntil = (await this.#log.lastSeq(at)) + REST;
    await this.#log.write(at, { ...counted, restUntil }, version);
    return toCompaction(first, counted);
  }

  #rest(built: BuiltFor, until: number): void {
    if (this.#resting.size >= MAX_REMEMBERED) this.#resting.clear();
    this.#resting.set(restKeyOf(built), until);
  }

  /** The engine is being closed, or the session is gone. */
  #isOfNoConcern(error: unknown): boolean {
    if (this.#closing.signal.aborted) return true;
    return isConflict(error) || (isHoldfastError(error) && error.code === 'not-found');
  }
}

function keyOf({ sessionId, channel }: CompactedLog): string {
  return `${sessionId}\0${channel ?? ''}`;
}

function restKeyOf(built: BuiltFor): string {
  return `${keyOf(built)}\0${built.forTokens}`;
}
