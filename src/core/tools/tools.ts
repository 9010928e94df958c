import { z } from 'zod';
import { ClosedError, HoldfastError } from '../errors.ts';
import { idSchema, parseId, parseInput } from '../input.ts';
import type { JsonObject } from '../json.ts';
import type { ServiceContext } from '../services.ts';
import type { Activity } from '../sessions/activity.ts';
import type { Timeline } from '../tasks/timeline.ts';
import { type Chain, type ChainResult, runChain } from './chain.ts';
import { failureOf } from './failure.ts';
import { abortedByCaller, Halt } from './halt.ts';
import type { Shaped } from './large.ts';
import { type ReadResult, type ResultPart, readResult, readResultSchema } from './offloaded.ts';
import { executeSchema, runSettings, type ToolCallOptions, type ToolOptions } from './options.ts';
import { type EndedCall, recordOf, TOOL_CALL } from './record.ts';
import { ToolRegistry } from './registry.ts';
import { Runner, type Running } from './runner.ts';
import { ToolState } from './state.ts';
import type { ToolStats } from './stats.ts';
import { isTool, type Tool, type ToolFailure, type ToolResult } from './tool.ts';

export type { ToolCallOptions } from './options.ts';

export interface ListTools {
  category?: string | undefined;
  tag?: string | undefined;
}

/** What listeners hear of a call: never what it was called with, nor what it gave. */
export interface ToolCallEvent {
  tool: string;
  tenant: string;
  sessionId?: string;
  userId?: string;
  toolCallId?: string;
}
export type ToolCallEnded = ToolCallEvent &
  Pick<ToolResult, 'success' | 'durationMs' | 'cached' | 'attempts'> & {
    /** Of a failure. */
    code?: string;
  };

/** In-process: `started` when a call of a tool that there is begins, `ended` when its result is there. */
export interface ToolEvents {
  started: ToolCallEvent;
  ended: ToolCallEnded;
}

export interface ToolServices {
  /** That of the engine that was opened, for a tenant's view. */
  readonly root: ToolService | undefined;
  readonly timeline: Timeline;
  readonly activity: Activity;
  onError(error: unknown): void;
}

const listSchema = z.strictObject({ category: idSchema.optional(), tag: idSchema.optional() });
const registerSchema = z.strictObject({ replace: z.boolean().optional() });
const onSchema = z.strictObject({
  type: z.enum(['started', 'ended']),
  listener: z.custom<Listener>((value) => typeof value === 'function', 'expected a function'),
});
const NO_OPTIONS: ToolCallOptions = Object.freeze({});
/** How long a result waits until it is recorded that there is one (milliseconds). */
const RECORD_WAIT_MS = 1000;
/** How long closing waits for what is being recorded (milliseconds): a task may be anybody's code. */
const CLOSE_WAIT_MS = 5000;

/** What agents may call. Rates, caches and counts are a tenant's own; so are tools that were registered in its view. */
export class ToolService {
  readonly #context: ServiceContext;
  readonly #services: ToolServices;
  readonly #registry: ToolRegistry;
  readonly #runner: Runner;
  readonly #onError: (error: unknown) => void;
  readonly #timeoutMs: number;
  readonly #record: 'none' | 'summary' | 'full';
  readonly #states = new WeakMap<Tool, ToolState>();
  readonly #listeners = { started: new Set<Listener>(), ended: new Set<Listener>() };
  readonly #running = new Set<Halt>();
  /** Of all tenants together. */
  readonly #cacheUse: { hits: number; misses: number };
  /** Records that are being written. */
  readonly #recording = new Set<Promise<unknown>>();
  #closing: { promise: Promise<void>; resolve: () => void } | undefined;

  constructor(context: ServiceContext, services: ToolServices, options: ToolOptions = {}) {
    this.#context = context;
    this.#services = services;
    const { root } = services;
    this.#cacheUse = root ? root.#cacheUse : { hits: 0, misses: 0 };
    this.#registry = root ? root.#registry.of(context.tenant) : new ToolRegistry();
    // A call never throws, not even for what is told of it.
    this.#onError = (error) => {
      try {
        services.onError(error);
      } catch {}
    };
    const settings = runSettings(options, this.#onError);
    this.#runner = new Runner(context, settings);
    this.#timeoutMs = settings.timeoutMs;
    this.#record = options.record ?? 'summary';
  }

  /**
   * Makes tools known: all that are given, or none. In a tenant's view they are that tenant's alone.
   * @throws ConflictError for a name that is taken, unless `replace`
   */
  register(tools: Tool | readonly Tool[], options: { replace?: boolean | undefined } = {}): void {
    this.#throwIfClosed();
    const { replace = false } = parseInput(registerSchema, options, 'tools.register');
    this.#registry.add(Array.isArray(tools) ? tools : [tools], replace);
  }

  /** Calls that are under way go on. @returns whether there was such a tool */
  unregister(name: string): boolean {
    this.#throwIfClosed();
    return this.#registry.delete(parseId(name, 'tools.unregister: name')) !== undefined;
  }

  /** @throws NotFoundError */
  get(name: string): Tool {
    this.#throwIfClosed();
    return this.#registry.get(parseId(name, 'tools.get: name'));
  }

  /** In the order of their names; all, or those of a category, with a tag. */
  list(options: ListTools = {}): Tool[] {
    this.#throwIfClosed();
    const { category, tag } = parseInput(listSchema, options, 'tools.list');
    return this.#registry
      .all()
      .filter((tool) => category === undefined || tool.category === category)
      .filter((tool) => tag === undefined || tool.tags.includes(tag));
  }

  /**
   * Calls a tool. Never throws: whatever goes wrong is in the result, by its code.
   * @param tool its name, or the tool itself, which types parameters and result; it has to be registered
   * @param params `{}` where absent
   */
  execute<P, R>(tool: Tool<P, R>, params: P, options?: ToolCallOptions): Promise<ToolResult<R>>;
  execute(tool: string | Tool, params?: unknown, options?: ToolCallOptions): Promise<ToolResult>;
  async execute(target: string | Tool, params: unknown = {}, given?: ToolCallOptions): Promise<ToolResult> {
    const startedAt = performance.now();
    let call: Running | undefined;
    let options = NO_OPTIONS;
    let shaped: Shaped | undefined;
    let error: ToolFailure | undefined;
    try {
      this.#throwIfClosed();
      if (given) options = parseInput(executeSchema, given, 'tools.execute');
      call = this.#begin(target, options);
      call.halt.throwIfStopped();
      shaped = await this.#runner.run(call, params);
    } catch (failure) {
      error = failureOf(failure);
      // A bug of ours, which says nothing to the caller.
      if (error.code === 'internal') this.#onError(failure);
    }
    const { cached = false, attempts = 0 } = call ?? {};
    const told = { durationMs: performance.now() - startedAt, cached, attempts };
    const result: ToolResult = shaped
      ? { success: true, result: shaped.value, ...told, ...(shaped.large && { large: shaped.large }) }
      : { success: false, error: error!, ...told };
    if (call) {
      this.#count(call, result);
      this.#log(call, result);
    }
    // What a model calls that there is not belongs to what happened as well.
    const tool = call || error?.code === 'not-found' ? nameOf(target) : undefined;
    const resultLength = shaped?.units ?? 0;
    if (tool !== undefined) await this.#recorded({ tool, params, options, result, resultLength });
    if (call) this.#end(call);
    return result;
  }

  /**
   * Calls tools one after another, those in an inner array side by side, until one fails. Never throws.
   * @param chain each step's `params` are a value, or a function of the results before
   * @param options hold for each of the calls
   */
  chain(chain: Chain, options?: ToolCallOptions): Promise<ChainResult> {
    return runChain((tool, params, each) => this.execute(tool, params, each), chain, options);
  }

  /** What came of calls in this process: of one tool, or of all by name. @throws NotFoundError */
  stats(name: string): ToolStats;
  stats(): Record<string, ToolStats>;
  stats(name?: string): ToolStats | Record<string, ToolStats> {
    if (name !== undefined) return this.#stateOf(this.get(name)).counts.stats();
    return Object.fromEntries(this.list().map((tool) => [tool.name, this.#stateOf(tool).counts.stats()]));
  }

  /** How often calls of tools with a cache were given a result from it, in all tenants; undefined before the first such call. */
  get cacheUse(): { hits: number; misses: number; hitRate: number } | undefined {
    const { hits, misses } = this.#cacheUse;
    return hits + misses === 0 ? undefined : { hits, misses, hitRate: hits / (hits + misses) };
  }

  /**
   * Hears of calls in this process and tenant. What a listener throws goes to `onError`.
   * @returns a function that takes the listener away
   */
  on<T extends keyof ToolEvents>(type: T, listener: (event: ToolEvents[T]) => void): () => void {
    this.#throwIfClosed();
    parseInput(onSchema, { type, listener }, 'tools.on');
    const own: Listener = (event) => listener(event as ToolEvents[T]);
    this.#listeners[type].add(own);
    return () => void this.#listeners[type].delete(own);
  }

  /**
   * Reads a result back that was offloaded, from `offset` on.
   * @throws NotFoundError
   */
  async readResult(sessionId: string, handle: string, options: ReadResult = {}): Promise<ResultPart> {
    const session = parseId(sessionId, 'tools.readResult: sessionId');
    const range = parseInput(readResultSchema, options, 'tools.readResult');
    await this.#services.activity.checkForRead(session);
    return readResult(this.#context, session, handle, range);
  }

  /** Ends the calls that are under way, with `closed`, and finishes what is being recorded. */
  async close(): Promise<void> {
    if (!this.#closing) {
      this.#closing = Promise.withResolvers<void>();
      for (const halt of this.#running) halt.stop(new ClosedError('engine'));
      if (this.#running.size === 0) this.#closing.resolve();
    }
    await this.#closing.promise;
    await atMost(CLOSE_WAIT_MS, Promise.all(this.#recording));
  }

  #begin(target: string | Tool, options: ToolCallOptions): Running {
    const tool = this.#find(target);
    const { sessionId, userId, role, toolCallId, task, approved = false } = options;
    const { tenant } = this.#context;
    const { timeoutMs = tool.timeoutMs ?? this.#timeoutMs } = options;
    const state = this.#stateOf(tool);
    const facts = { tool: tool.name, tenant, sessionId, userId, role, toolCallId, task };
    const of = { tool, state, facts, timeoutMs, approved };
    const call: Running = { ...of, halt: new Halt(), cached: false, attempts: 0 };
    state.counts.running++;
    this.#running.add(call.halt);
    if (options.signal) call.halt.follow(options.signal, abortedByCaller);
    if (this.#listeners.started.size > 0) this.#tell('started', eventOf(call));
    return call;
  }

  #end({ halt }: Running): void {
    halt.release();
    this.#running.delete(halt);
    if (this.#closing && this.#running.size === 0) this.#closing.resolve();
  }

  #count(call: Running, { success, error, durationMs, cached, attempts }: ToolResult): void {
    const { counts } = call.state;
    counts.running--;
    counts.ended({ code: error?.code, cached, attempts, durationMs });
    if (call.tool.cache && cached) this.#cacheUse.hits++;
    else if (call.tool.cache && attempts > 0) this.#cacheUse.misses++;
    if (this.#listeners.ended.size === 0) return;
    const event = { ...eventOf(call), success, durationMs, cached, attempts };
    this.#tell('ended', error ? { ...event, code: error.code } : event);
  }

  /** That a call never throws does not mean that it went well: the log tells which did, and by which code others did not. */
  #log(
    { facts: { tool, sessionId, userId } }: Running,
    { error, durationMs, cached, attempts }: ToolResult,
  ): void {
    const { log } = this.#context;
    if (!log.isOn) return;
    const ids = {
      tool,
      ...(sessionId !== undefined && { sessionId }),
      ...(userId !== undefined && { userId }),
    };
    const told = { ...ids, ms: Math.round(durationMs * 10) / 10, cached, attempts };
    if (error) log.info({ ...told, code: error.code }, 'tool failed');
    else log.info(told, 'tool executed');
  }

  /** Writes down that there was a call. A result does not wait for it forever, and none is lost by its failing. */
  #recorded(call: EndedCall): Promise<void> | undefined {
    const { task, sessionId } = call.options;
    if (this.#record === 'none' || (!task && sessionId === undefined)) return undefined;
    const data = recordOf(call, this.#record);
    const writes = [this.#writeToTask(call.options, data), this.#writeToSession(call.options, data)];
    const recording = Promise.all(writes.map((write) => write.catch(this.#onError)));
    this.#recording.add(recording);
    const written = recording.finally(() => this.#recording.delete(recording));
    return atMost(RECORD_WAIT_MS, written);
  }

  async #writeToTask({ task }: ToolCallOptions, data: JsonObject): Promise<void> {
    await task?.addUpdate(TOOL_CALL, data);
  }

  async #writeToSession({ task, sessionId }: ToolCallOptions, data: JsonObject): Promise<void> {
    // What a task of the session is told stands in the session's timeline by that.
    if (sessionId === undefined || task?.sessionId === sessionId) return;
    await this.#services.timeline.record(sessionId, { updateType: TOOL_CALL, data });
  }

  #find(target: string | Tool): Tool {
    if (!isTool(target)) return this.#registry.get(parseId(target, 'tools.execute: tool'));
    const known = this.#registry.get(target.name);
    if (known === target) return known;
    throw new HoldfastError('not-found', 'the tool of that name is another one', {
      hint: 'Call it by its name, or register this one with { replace: true }.',
      details: { tool: target.name },
    });
  }

  #stateOf(tool: Tool): ToolState {
    let state = this.#states.get(tool);
    if (!state) {
      state = new ToolState(tool, this.#context);
      this.#states.set(tool, state);
    }
    return state;
  }

  #tell<T extends keyof ToolEvents>(type: T, event: ToolEvents[T]): void {
    for (const listener of this.#listeners[type]) {
      try {
        // A listener may be asynchronous, whatever its type says.
        Promise.resolve(listener({ ...event })).catch(this.#onError);
      } catch (error) {
        this.#onError(error);
      }
    }
  }

  #throwIfClosed(): void {
    if (this.#closing) throw new ClosedError('engine');
  }
}

type Listener = (event: ToolCallEvent) => unknown;

function eventOf({ facts }: Running): ToolCallEvent {
  const { tool, tenant, sessionId, userId, toolCallId } = facts;
  return {
    tool,
    tenant,
    ...(sessionId !== undefined && { sessionId }),
    ...(userId !== undefined && { userId }),
    ...(toolCallId !== undefined && { toolCallId }),
  };
}

function nameOf(target: string | Tool): string {
  return typeof target === 'string' ? target : target.name;
}

async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, over]);
  clearTimeout(timer);
}
