import { z } from 'zod';
import { idSchema, parseInput } from '../input.ts';
import { decodeJson } from '../json.ts';
import { kinds, SYSTEM_PARTITION } from '../partitions.ts';
import type { ServiceContext } from '../services.ts';
import type { Cursor } from '../store.ts';
import { type EngineEvent, type EventType, eventsOf, eventTypes } from './catalog.ts';

const PAGE = 256;
/** A consumer's position is saved after a page with events for it, and else after so many changes of others. */
const SAVE_EVERY = 1024;
const subscribeSchema = z.strictObject({
  after: z.string().optional(),
  types: z.array(z.enum(eventTypes)).min(1).optional(),
  sessionId: idSchema.optional(),
  consumer: idSchema.optional(),
  signal: z.instanceof(AbortSignal).optional(),
});

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
  readonly #listeners = new Map<EventType, Set<(event: EngineEvent) => void>>();
  readonly #onError: (error: unknown) => void;
  #closed = new AbortController();
  #delivery: AbortController | undefined;

  /** @param onError hears of listeners that throw, and of a journal that can't be read */
  constructor(context: ServiceContext, onError: (error: unknown) => void) {
    this.#context = context;
    this.#onError = onError;
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
    await this.#startDelivery();
    return () => {
      listeners.delete(own);
      if ([...this.#listeners.values()].every((others) => others.size === 0)) this.#stopDelivery();
    };
  }

  /**
   * Events as they are committed, from a cursor on. Ends when the signal is aborted or the engine closes.
   * @throws CursorExpiredError when the journal no longer keeps what comes after `after`
   */
  async *subscribe(options: SubscribeOptions = {}): AsyncGenerator<EngineEvent, void, void> {
    const {
      types,
      sessionId,
      consumer,
      signal,
      after = 'newest',
    } = parseInput(subscribeSchema, options, 'events.subscribe');
    const { store, tenant } = this.#context;
    const stop = AbortSignal.any([this.#closed.signal, ...(signal ? [signal] : [])]);
    const wanted = (event: EngineEvent) =>
      event.tenant === tenant &&
      (!types || types.includes(event.type)) &&
      (!sessionId || event.sessionId === sessionId);
    const saved = consumer === undefined ? undefined : await this.#savedCursor(consumer);
    let cursor = (await store.readChanges(saved ?? after, 0)).cursor;
    if (consumer !== undefined && saved === undefined) await this.#saveCursor(consumer, cursor);
    let passed = 0;
    while (!stop.aborted) {
      const page = await store.readChanges(cursor, PAGE);
      for (const change of page.changes) {
        for (const event of eventsOf(change)) {
          if (stop.aborted) return;
          if (!wanted(event)) continue;
          yield event;
          passed += SAVE_EVERY;
        }
        passed++;
        cursor = change.cursor;
      }
      // Saving is a commit as well, which the journal tells us: alone it must not make us save again.
      if (consumer !== undefined && passed >= SAVE_EVERY) {
        await this.#saveCursor(consumer, cursor);
        passed = 0;
      }
      if (page.changes.length < PAGE && !(await this.#changed(cursor, stop))) return;
    }
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
    const { store, clock } = this.#context;
    const floors = new Set(await this.#consumerCursors());
    const before = clock.now() - keepMs;
    let position: Cursor | undefined;
    let cursor: Cursor = (await store.readChanges('oldest', 0)).cursor;
    // Cursors are not comparable: the journal is walked, and the walk ends at the first one a consumer is at.
    walk: while (!floors.has(cursor)) {
      const { changes } = await store.readChanges(cursor, PAGE);
      for (const change of changes) {
        if (change.at >= before) break walk;
        cursor = change.cursor;
        position = cursor;
        if (floors.has(cursor)) break walk;
      }
      if (changes.length < PAGE) break;
    }
    if (position !== undefined) await store.trimChanges(position);
    return position;
  }

  close(): void {
    this.#closed.abort();
    this.#stopDelivery();
  }

  async #changed(cursor: Cursor, stop: AbortSignal): Promise<boolean> {
    try {
      await this.#context.store.waitForChanges(cursor, stop);
      return true;
    } catch (error) {
      if (stop.aborted) return false;
      throw error;
    }
  }

  async #startDelivery(): Promise<void> {
    if (this.#delivery) return;
    this.#delivery = new AbortController();
    const { signal } = this.#delivery;
    const events = this.subscribe({ after: await this.cursor(), signal });
    this.#deliver(events).catch((error: unknown) => !signal.aborted && this.#onError(error));
  }

  async #deliver(events: AsyncIterable<EngineEvent>): Promise<void> {
    for await (const event of events) {
      for (const listener of [...(this.#listeners.get(event.type) ?? [])]) {
        try {
          listener(event);
        } catch (error) {
          this.#onError(error);
        }
      }
    }
  }

  #stopDelivery(): void {
    this.#delivery?.abort();
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
