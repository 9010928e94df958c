/** From a caller's parameters to a result: one step after another, each of which may fail the call. */

import { type ErrorCode, isHoldfastError } from '../errors.ts';
import type { ServiceContext } from '../services.ts';
import { attemptOnce, type CallFacts } from './attempt.ts';
import { canonicalKey } from './canonical.ts';
import { badValue, toolFailed } from './failure.ts';
import type { Halt } from './halt.ts';
import { type Shaped, type ShapeOptions, shaped } from './large.ts';
import { keepResult } from './offloaded.ts';
import type { RunSettings } from './options.ts';
import { ownCopy } from './own-copy.ts';
import { checkPermission } from './permission.ts';
import { copyPlain } from './plain.ts';
import { scopeKey } from './rate.ts';
import type { Checked } from './schema.ts';
import type { ToolState } from './state.ts';
import type { Tool } from './tool.ts';

/** A call that is under way. */
export interface Running {
  readonly tool: Tool;
  readonly state: ToolState;
  readonly facts: CallFacts;
  readonly timeoutMs: number;
  readonly halt: Halt;
  readonly approved: boolean;
  /** What is told of it in the end. */
  cached: boolean;
  attempts: number;
}

const BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 10_000;
const WORTH_ANOTHER: ReadonlySet<ErrorCode> = new Set(['tool-failed', 'tool-unavailable', 'timeout']);

export class Runner {
  readonly #context: ServiceContext;
  readonly #settings: RunSettings;

  constructor(context: ServiceContext, settings: RunSettings) {
    this.#context = context;
    this.#settings = settings;
  }

  /** @throws HoldfastError, whatever goes wrong */
  async run(call: Running, params: unknown): Promise<Shaped> {
    const { tool, facts, halt, approved } = call;
    const own = copyOf(tool, params);
    const input = await this.#checkedInput(call, own);
    if (tool.permission !== 'public' || this.#settings.permission.policy) {
      const { description, permission, category, tags } = tool;
      const request = { description, permission, category, tags, input, ...facts };
      await checkPermission(tool, request, { options: this.#settings.permission, halt, approved });
    }
    // A retry is given what the first attempt was given, whatever that has made of it.
    const again = tool.retries && (() => this.#checkedInput(call, copyOf(tool, params)));
    return tool.cache ? this.#cached(call, input, again) : this.#make(call, input, halt, again);
  }

  async #cached(call: Running, input: unknown, again: Again): Promise<Shaped> {
    const key = cacheKey(call, input, this.#onLargeResult(call.tool));
    if (key === undefined) return this.#make(call, input, call.halt, again);
    const { cache, flights } = call.state;
    const known = cache!.get(key);
    if (known) {
      call.cached = true;
      return known;
    }
    const flight = flightKey(call, key);
    const isFirst = !flights.has(flight);
    call.cached = !isFirst;
    const made = await flights.join(flight, call.halt, async (halt) => {
      const result = await this.#make(call, input, halt, again);
      cache!.set(key, result);
      return result;
    });
    return isFirst ? made : { ...made, value: copyPlain(made.value) };
  }

  /** Calls the tool where its rate allows it, as often as it takes and may be done. */
  async #make(call: Running, input: unknown, halt: Halt, again: Again): Promise<Shaped> {
    const { tool, state, facts } = call;
    if (tool.rateLimit) await halt.race(state.limiter.take(scopeKey(tool.rateLimit.scope, facts)));
    const { attempts = 1, backoffMs = BACKOFF_MS, maxBackoffMs = MAX_BACKOFF_MS } = tool.retries ?? {};
    for (let attempt = 1, given = input; ; attempt++) {
      try {
        return await this.#once(call, given, halt);
      } catch (error) {
        if (attempt >= attempts || !again || !isWorthAnother(error)) throw error;
      }
      const longest = Math.min(maxBackoffMs, backoffMs * 2 ** (attempt - 1));
      // Callers that failed together do not come back together.
      await halt.sleep(longest * (0.5 + Math.random() / 2));
      given = await again();
    }
  }

  async #once(call: Running, input: unknown, halt: Halt): Promise<Shaped> {
    const { tool, state, timeoutMs } = call;
    const { describeError } = this.#settings;
    const run = (left?: () => void) => {
      call.attempts++;
      const told = { facts: call.facts, attempt: call.attempts };
      return attemptOnce(tool, input, told, { timeoutMs, halt, describeError, left });
    };
    halt.throwIfStopped();
    const raw = state.slots ? await state.slots.run(halt, run) : await run();
    const checked = tool.output ? await this.#checkedOutput(call, raw, halt) : raw;
    const result = this.#shaped(call, checked);
    return result instanceof Promise ? halt.race(result) : result;
  }

  #onLargeResult({ onLargeResult = this.#settings.onLargeResult }: Tool): RunSettings['onLargeResult'] {
    return onLargeResult;
  }

  #shaped({ tool, facts }: Running, raw: unknown): Shaped | Promise<Shaped> {
    const { maxResultBytes = this.#settings.maxResultBytes } = tool;
    const onLargeResult = this.#onLargeResult(tool);
    const { sessionId } = facts;
    const offload = sessionId === undefined ? undefined : (text: string) => this.#offloaded(sessionId, text);
    return shaped(raw, { maxResultBytes, onLargeResult, offload });
  }

  /** The tool has done what it did: that its result can't be kept is no failure of it. */
  async #offloaded(sessionId: string, text: string): ReturnType<NonNullable<ShapeOptions['offload']>> {
    try {
      return await keepResult(this.#context, sessionId, text);
    } catch (error) {
      this.#settings.onError(error);
      return undefined;
    }
  }

  async #checkedInput({ tool, halt, timeoutMs }: Running, own: unknown): Promise<unknown> {
    const checked = await this.#check(tool, () => tool.checkInput(own), { halt, timeoutMs });
    if (checked.issues) throw badValue(tool.name, checked.issues);
    return checked.value;
  }

  async #checkedOutput({ tool, timeoutMs }: Running, raw: unknown, halt: Halt): Promise<unknown> {
    const checked = await this.#check(tool, () => tool.checkOutput(raw), { halt, timeoutMs });
    if (!checked.issues) return checked.value;
    const { message } = badValue('its result is not what it promises', checked.issues);
    throw toolFailed(tool.name, new TypeError(message));
  }

  /** A schema's check is somebody else's code as well, and may take its time. */
  async #check(
    { name }: Tool,
    check: () => Checked | Promise<Checked>,
    { halt, timeoutMs }: { halt: Halt; timeoutMs: number },
  ): Promise<Checked> {
    const failed = (error: unknown) => toolFailed(name, error, () => 'the schema of the tool failed');
    let checked: Checked | Promise<Checked>;
    try {
      checked = check();
    } catch (error) {
      throw failed(error);
    }
    if (!('then' in checked)) return checked;
    const late = () => failed(undefined);
    return halt.within(
      timeoutMs,
      checked.catch((error) => Promise.reject(failed(error))),
      late,
    );
  }
}

/** Makes the input anew. Absent where there are no retries. */
type Again = (() => Promise<unknown>) | undefined;

function copyOf({ name }: Tool, params: unknown): unknown {
  try {
    return ownCopy(params);
  } catch {
    throw badValue(name, [{ path: '', message: 'has something in it that is no data, a function say' }]);
  }
}

/** @returns undefined where results can't be told apart, or not be shared with anybody */
function cacheKey(
  { tool, facts }: Running,
  input: unknown,
  onLargeResult: RunSettings['onLargeResult'],
): string | undefined {
  const { scope } = tool.cache!;
  // Of a scope that the call does not name: nobody's results are anybody's.
  if (
    (scope === 'user' && facts.userId === undefined) ||
    (scope === 'session' && facts.sessionId === undefined)
  )
    return undefined;
  const key = canonicalKey(input);
  if (key === undefined) return undefined;
  // What is offloaded is kept in a session: another one could not read it back.
  const session = onLargeResult === 'offload' ? facts.sessionId : undefined;
  return JSON.stringify([scopeKey(scope, facts), session ?? null, key]);
}

/** Calls that are counted apart are made apart: who is over the limit takes nobody along. */
function flightKey({ tool, facts }: Running, key: string): string {
  return JSON.stringify([key, scopeKey(tool.rateLimit?.scope, facts)]);
}

function isWorthAnother(error: unknown): boolean {
  return isHoldfastError(error) && WORTH_ANOTHER.has(error.code);
}
