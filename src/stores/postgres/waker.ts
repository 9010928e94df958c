import { randomUUID } from 'node:crypto';
import { Waiters } from '../shared/waiters.ts';
import type { Database } from './database.ts';
import { hash } from './hash.ts';
import type { PostgresClient, PostgresPool } from './pool.ts';

/** How often to look where notifications arrive, where they don't, and where a commit can't be read yet. */
const LISTENING_MS = 1000;
const POLLING_MS = 25;
const HELD_MS = 10;
/** Notifications are sent at most this often: sending one takes a lock that all of the database's share. */
const NOTIFY_EVERY_MS = 5;
const RECONNECT_MS = 1000;

/**
 * Wakes those who wait for changes. Notifications only make it fast: whoever waits also looks by himself, so nothing
 * depends on their arrival.
 */
export class Waker {
  readonly #database: Database;
  /** Where to listen; undefined to look only. */
  readonly #source: PostgresPool | undefined;
  readonly #channel: string;
  readonly #waiters = new Waiters();
  #timer: NodeJS.Timeout | undefined;
  #due = Number.POSITIVE_INFINITY;
  #wakes = 0;
  #listener: PostgresClient | undefined;
  #starting = false;
  #arrives = false;
  #reconnect: NodeJS.Timeout | undefined;
  #notifyTimer: NodeJS.Timeout | undefined;
  #notifiedAt = 0;
  #closed = false;

  constructor(database: Database, source: PostgresPool | undefined, schema: string) {
    this.#database = database;
    this.#source = source;
    this.#channel = `holdfast_${hash(schema, 0).toString(36)}`;
  }

  /** How often wakes came: who read in the meantime and finds another number has to read again. */
  get wakes(): number {
    return this.#wakes;
  }

  get listening(): boolean {
    return this.#arrives;
  }

  /** Waits for a wake, or until it is time to look again. @throws what the signal says */
  wait(held: boolean, signal?: AbortSignal): Promise<void> {
    this.#listen();
    this.#wakeWithin(held ? HELD_MS : this.#arrives ? LISTENING_MS : POLLING_MS);
    return this.#waiters.wait(signal);
  }

  /** To be called when this process committed: wakes its own at once, and tells the others soon. */
  committed(): void {
    this.wake();
    if (this.#notifyTimer || this.#closed) return;
    const pause = Math.max(0, this.#notifiedAt + NOTIFY_EVERY_MS - performance.now());
    this.#notifyTimer = setTimeout(() => {
      this.#notifyTimer = undefined;
      this.#notifiedAt = performance.now();
      this.#notify('').catch(() => {});
    }, pause);
  }

  wake(): void {
    this.#wakes++;
    clearTimeout(this.#timer);
    this.#due = Number.POSITIVE_INFINITY;
    this.#waiters.wake();
  }

  close(): void {
    const untold = this.#notifyTimer !== undefined;
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#reconnect);
    clearTimeout(this.#notifyTimer);
    if (untold) this.#notify('').catch(() => {});
    this.#waiters.close('store');
    this.#drop();
  }

  #wakeWithin(ms: number): void {
    const due = performance.now() + ms;
    if (due >= this.#due) return;
    clearTimeout(this.#timer);
    this.#due = due;
    this.#timer = setTimeout(() => this.wake(), ms);
  }

  #notify(payload: string): Promise<unknown> {
    return this.#database.query('SELECT pg_notify($1, $2)', [this.#channel, payload]);
  }

  #listen(): void {
    if (!this.#source || this.#starting || this.#listener || this.#closed) return;
    this.#starting = true;
    this.#connect(this.#source)
      .catch(() => this.#reconnectLater())
      .finally(() => {
        this.#starting = false;
      });
  }

  async #connect(source: PostgresPool): Promise<void> {
    const client = await source.connect();
    this.#listener = client;
    if (this.#closed) {
      this.#drop();
      return;
    }
    const test = randomUUID();
    client.on('error', () => this.#lost(client));
    client.on('notification', ({ payload }) => {
      // Until our own arrives, none may: behind a pool of transactions it never does.
      if (payload === test) this.#arrives = true;
      this.wake();
    });
    await client.query({ text: `LISTEN ${this.#channel}` });
    await this.#notify(test);
    // What was committed before LISTEN was through is not notified: whoever waits looks once more.
    this.wake();
  }

  #lost(client: PostgresClient): void {
    if (this.#listener !== client) return;
    this.#reconnectLater();
    this.wake();
  }

  #reconnectLater(): void {
    // A connection on which nothing can be heard (a standby's, say) goes back, too.
    this.#drop();
    if (this.#closed) return;
    clearTimeout(this.#reconnect);
    this.#reconnect = setTimeout(
      () => {
        if (this.#waiters.size > 0) this.#listen();
      },
      RECONNECT_MS * (0.5 + Math.random()),
    );
  }

  #drop(): void {
    this.#listener?.release(true);
    this.#listener = undefined;
    this.#arrives = false;
  }
}
