import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { isCursorExpired, isHoldfastError } from '../errors.ts';
import { idSchema, parseInput } from '../input.ts';
import { decodeJson } from '../json.ts';
import { kinds, SYSTEM_PARTITION } from '../partitions.ts';
import type { ServiceContext } from '../services.ts';
import type { Cursor, Operation } from '../store.ts';
import { type EngineEvent, type EventType, eventsOf, eventTypes } from './catalog.ts';

const PAGE = 256;
/** The journal is trimmed in steps of so many changes. */
const TRIM_PAGE = 1024;
/** A consumer's position is saved after a page with events for it, and else after so many changes of others. */
const SAVE_EVERY = 1024;
/** A journal that can't be read is tried again after this time, give or take half of it. */
const RETRY_MS = 1000;
const subscribeSchema = z.strictObject({
  after: z.string().optional(),
  types: z.array(z.enum(eventTypes)).min(1).optional(),
  sessionId: idSchema.optional(),
  consumer: idSchema.optional(),
  signal: z.instanceof(AbortSignal).optional(),
});

const trimSchema = z.strictObject({ keepMs: z.number().min(0) });

export interface SubscribeOptions {
  /** Go on after this event's cursor. `oldest`: all that the journal keeps. Absent: from now on. */
  after?: Cursor | 'oldest' | 'newest' | undefined;
  types?: EventType[] | undefined;
  sessionId?: string | undefined;
  /**
   * A name under which the position is kept in the store: a later subscription of that name goes on where this one
   * stopped, in another process as well. An event counts as handled when the next one is asked for, so none is lost
   * in a crash, and the last ones may come again.
   */
  consumer?: string | undefined;
  /** Ends the iteration. */
  signal?: AbortSignal | undefined;
}

type Listener<T extends EventType> = (event: Extract<EngineEvent, { type: T }>) => void;

/** Events of the engine's tenant, from the store's journal: those of other processes as well, none lost. */
export class EventService {
  readonly #context: ServiceContext;
  readonly #listeners = new Map<EventType, Set<(event: EngineEvent) => unknown>>();
  readonly #onError: (error: unknown) => void;
  readonly #closing: AbortSignal;
  #delivery: { stop: AbortController; started: Promise<void> } | undefined;

  /**
   * @param options.onError hears of listeners that throw, and of a journal that can't be read
   * @param options.closing ends all subscriptions
   */
  constructor(context: ServiceContext, options: { onError: (error: unknown) => void; closing: AbortSignal }) {
    this.#context = context;
    this.#onError = options.onError;
    this.#closing = options.closing;
  }

  /**
   * Calls a listener for each event of a type that is committed from now on, here or in another process.
   * @returns a function that takes the listener away
   */
  async on<T extends EventType>(type: T, listener: Listener<T>): Promise<() => void> {
    parseInput(z.enum(eventTypes), type, 'events.on: type');
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners);
    const own = (event: EngineEvent) => listener(event as Extract<EngineEvent, { type: T }>);
    listeners.add(own);
    const off = () => {
      listeners.delete(own);
      if ([...this.#listeners.values()].every((others) => others.size === 0)) this.#stopDelivery();
    };
    try {
      await this.#startDelivery();
    } catch (error) {
      off();
      throw error;
    }
    return off;
  }

  /**
   * Events as they are committed, from a cursor on, or from this call on. Ends when the signal is aborted or the engine
   * closes. An event may come again after its cursor was passed on; none is left out. While the store can't be reached
   * it waits (`onError` hears of it), and then goes on where it was.
   * @throws CursorExpiredError when the journal no longer keeps what comes after `after`
   */
  subscribe(options: SubscribeOptions = {}): AsyncGenerator<EngineEvent, void, void> {
    const given = parseInput(subscribeSchema, options, 'events.subscribe');
    const { consumer, after = 'newest' } = given;
    const start = consumer === undefined ? this.cursor(after) : this.#consumerStart(consumer, after);
    // Told to whoever iterates.
    start.catch(() => undefined);
    return this.#follow(start, given);
  }

  async *#follow(
    start: Promise<Cursor>,
    { types, sessionId, consumer, signal }: SubscribeOptions,
  ): AsyncGenerator<EngineEvent, void, void> {
    const { store, tenant } = this.#context;
    const stop = AbortSignal.any([this.#closing, ...(signal ? [signal] : [])]);
    const wanted = (event: EngineEvent) =>
      event.tenant === tenant &&
      (!types || types.includes(event.type)) &&
      (!sessionId || event.sessionId === sessionId);
    let cursor: Cursor | undefined;
    let passed = 0;
    try {
      cursor = await start;
      while (!stop.aborted) {
        const after: Cursor = cursor;
        const page = await this.#patiently(stop, () => store.readChanges(after, PAGE));
        for (const change of page.changes) {
          for (const event of eventsOf(change, cursor, wanted)) {
            if (stop.aborted) return;
            yield event;
            passed += SAVE_EVERY;
          }
          passed++;
          cursor = change.cursor;
        }
        // Saving is a commit as well, which the journal tells us: alone it must not make us save again.
        if (consumer !== undefined && passed >= SAVE_EVERY) {
          passed = 0;
          await this.#saveCursor(consumer, cursor).catch(this.#onError);
        }
        const end: Cursor = cursor;
        if (page.changes.length < PAGE) await this.#patiently(stop, () => store.waitForChanges(end, stop));
      }
    } catch (error) {
      if (!stop.aborted) throw error;
    } finally {
      const unsaved = passed >= SAVE_EVERY && !this.#closing.aborted;
      // What can't be saved comes again.
      if (consumer !== undefined && cursor !== undefined && unsaved)
        await this.#saveCursor(consumer, cursor).catch(() => undefined);
    }
  }

  /** Tries again for as long as the store can't be reached; that is told once. */
  async #patiently<T>(stop: AbortSignal, call: () => Promise<T>): Promise<T> {
    for (let told = false; ; told = true) {
      try {
        return await call();
      } catch (error) {
        if (!isHoldfastError(error) || error.code !== 'store-unavailable' || stop.aborted) throw error;
        if (!told) this.#onError(error);
        await delay(RETRY_MS * (0.5 + Math.random()), undefined, { signal: stop, ref: false });
      }
    }
  }

  /** Where a consumer goes on; its place is kept from its first subscription on. */
  async #consumerStart(consumer: string, after: Cursor | 'oldest' | 'newest'): Promise<Cursor> {
    const saved = await this.#savedCursor(consumer);
    const cursor = await this.cursor(saved ?? after);
    if (saved === undefined) await this.#saveCursor(consumer, cursor);
    return cursor;
  }

  /**
   * A position to subscribe after: the journal's end, or the one that `at` names.
   * @throws CursorExpiredError when the journal no longer keeps what comes after `at`
   */
  async cursor(at: Cursor | 'oldest' | 'newest' = 'newest'): Promise<Cursor> {
    return (await this.#context.store.readChanges(at, 0)).cursor;
  }

  /**
   * Forgets journal entries older than `keepMs`, but none that a named consumer has not handled yet.
   * @returns the cursor up to which the journal was forgotten, if any was
   */
  async trim({ keepMs }: { keepMs: number }): Promise<Cursor | undefined> {
    parseInput(trimSchema, { keepMs }, 'events.trim');
    const { store, clock } = this.#context;
    const keep = await this.#consumerCursors();
    const before = clock.now() - keepMs;
    const start = await this.cursor('oldest');
    let oldest = start;
    for (;;) {
      const { changes } = await store.readChanges(oldest, TRIM_PAGE);
      const young = changes.findIndex(({ at }) => at >= before);
      const last = (young < 0 ? changes : changes.slice(0, young)).at(-1);
      if (!last) break;
      await store.trimChanges(last.cursor, keep);
      oldest = await this.cursor('oldest');
      // Held back by a consumer: what comes after is for the next time.
      if (oldest !== last.cursor || young >= 0) break;
    }
    return oldest === start ? undefined : oldest;
  }

  /** Forgets a named consumer: the journal is no longer kept for it. @returns false when there was none */
  async forget(consumer: string): Promise<boolean> {
    const id = this.#name(parseInput(idSchema, consumer, 'events.forget: consumer'));
    const operations: Operation[] = [{ op: 'delete', kind: kinds.consumer, id }];
    const receipt = await this.#context.store.commit({ partition: SYSTEM_PARTITION, operations });
    return receipt.results[0]!.count === 1;
  }

  /** Resolves when what is committed from now on will be heard. */
  #startDelivery(): Promise<void> {
    if (!this.#delivery) {
      const stop = new AbortController();
      const start = this.cursor();
      this.#delivery = { stop, started: start.then(ignore) };
      // No longer than that: who listens to a signal is kept by it, and tenants come and go.
      const { signal } = stop;
      this.#closing.addEventListener('abort', () => this.#stopDelivery(), { once: true, signal });
      this.#delivery.started.then(
        () => this.#deliver(start, stop.signal),
        () => this.#stopDelivery(),
      );
    }
    return this.#delivery.started;
  }

  /** Delivers until it is stopped. A journal that can't be read is told, and tried again after a while. */
  async #deliver(start: Promise<Cursor>, stop: AbortSignal): Promise<void> {
    let after: Cursor | 'oldest' = await start;
    while (!stop.aborted && !this.#closing.aborted) {
      try {
        for await (const event of this.subscribe({ after, signal: stop })) {
          this.#hear(event);
          after = event.cursor;
        }
      } catch (error) {
        if (stop.aborted || this.#closing.aborted) return;
        this.#onError(error);
        if (isHoldfastError(error) && error.code === 'closed') return;
        if (isCursorExpired(error)) after = 'oldest';
        await delay(RETRY_MS * (0.5 + Math.random()), undefined, { signal: stop, ref: false }).catch(ignore);
      }
    }
  }

  #hear(event: EngineEvent): void {
    for (const listener of [...(this.#listeners.get(event.type) ?? [])]) {
      try {
        // A listener may be asynchronous, whatever its type says.
        Promise.resolve(listener(event)).catch(this.#onError);
      } catch (error) {
        this.#onError(error);
      }
    }
  }

  #stopDelivery(): void {
    this.#delivery?.stop.abort();
    this.#delivery = undefined;
  }

  async #savedCursor(consumer: string): Promise<Cursor | undefined> {
    return (
      await this.#context.records.get<{ cursor: Cursor }>(
        SYSTEM_PARTITION,
        kinds.consumer,
        this.#name(consumer),
      )
    )?.value.cursor;
  }

  async #saveCursor(consumer: string, cursor: Cursor): Promise<void> {
    await this.#context.records.update(SYSTEM_PARTITION, kinds.consumer, () => ({ value: { cursor } }), {
      id: this.#name(consumer),
    });
  }

  /** Consumers of different tenants may have the same name. */
  #name(consumer: string): string {
    return JSON.stringify([this.#context.tenant, consumer]);
  }

  async #consumerCursors(): Promise<Cursor[]> {
    const cursors: Cursor[] = [];
    let after: string | undefined;
    do {
      const page = await this.#context.store.listRecords(SYSTEM_PARTITION, kinds.consumer, {
        limit: 1000,
        ...(after !== undefined && { after }),
      });
      cursors.push(...page.items.map((record) => decodeJson<{ cursor: Cursor }>(record.value).cursor));
      after = page.next;
    } while (after !== undefined);
    return cursors;
  }
}

function ignore(): void {}
