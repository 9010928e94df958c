import { Waiters } from '../shared/waiters.ts';
import type { Connection } from './connection.ts';
import type { Keys } from './keys.ts';
import type { Servers } from './servers.ts';

/** How often the journal is looked at while somebody waits, in case that a message was lost. */
const LOOK_EVERY_MS = 1000;

/**
 * Wakes who waits for changes. Commits tell of themselves on a channel of their shard, which is listened to while
 * somebody waits. A message says only that there is something to see; who misses one finds it at the next look.
 */
export class Waker {
  readonly #servers: Servers;
  readonly #keys: Keys;
  readonly #readEnds: () => Promise<number[]>;
  readonly #waiters = new Waiters();
  readonly #listeners = new Map<string, Listener>();
  /** The ends of the journals when they were last looked at. */
  #ends: readonly number[] = [];
  #looking: Promise<void> | undefined;
  #lookAgain = false;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(servers: Servers, keys: Keys, readEnds: () => Promise<number[]>) {
    this.#servers = servers;
    this.#keys = keys;
    this.#readEnds = readEnds;
  }

  /** Resolves when a journal has grown beyond these positions. */
  async wait(positions: readonly number[], signal?: AbortSignal): Promise<void> {
    while (!this.#ends.some((end, shard) => end > positions[shard]!)) {
      const waiting = this.#waiters.wait(signal);
      this.#start();
      await waiting;
    }
  }

  /** Something may have been committed. */
  hear(): void {
    if (this.#waiters.size > 0) this.#look();
  }

  close(): void {
    this.#closed = true;
    this.#stop();
    this.#waiters.close('store');
  }

  #start(): void {
    // What came before it was listened to must not be slept through.
    void this.#listen().then(() => this.#look());
    this.#timer ??= setInterval(() => {
      if (this.#waiters.size > 0) {
        void this.#listen();
        this.#look();
      } else {
        this.#stop();
      }
    }, LOOK_EVERY_MS);
  }

  #stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const { connection } of this.#listeners.values()) connection.close();
    this.#listeners.clear();
  }

  #look(): void {
    if (this.#looking) {
      this.#lookAgain = true;
      return;
    }
    this.#looking = this.#readEnds()
      .then((ends) => {
        const grown = ends.some((end, shard) => end > (this.#ends[shard] ?? -1));
        this.#ends = ends;
        if (grown) this.#waiters.wake();
      })
      // A server that is away: the next look tells.
      .catch(() => {})
      .finally(() => {
        this.#looking = undefined;
        if (!this.#lookAgain) return;
        this.#lookAgain = false;
        this.#look();
      });
  }

  /** Listens to every shard on the node that has it now. */
  async #listen(): Promise<void> {
    const { slots } = this.#keys;
    const wanted = slots.map((slot, shard) => this.#listenTo(shard, this.#servers.ownerOf(slot)));
    await Promise.allSettled(wanted);
  }

  async #listenTo(shard: number, address: string | undefined): Promise<void> {
    if (address === undefined || this.#closed) return;
    let listener = this.#listeners.get(address);
    if (!listener) {
      const lost = () => this.#listeners.get(address)?.shards.clear();
      listener = { connection: this.#servers.connection(address, lost), shards: new Map() };
      this.#listeners.set(address, listener);
    }
    const { connection, shards } = listener;
    const listening = shards.get(shard) ?? connection.subscribe(this.#keys.channel(shard), () => this.hear());
    shards.set(shard, listening);
    await listening.catch(() => shards.delete(shard));
  }
}

interface Listener {
  readonly connection: Connection;
  readonly shards: Map<number, Promise<void>>;
}
