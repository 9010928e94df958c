import { randomBytes } from 'node:crypto';
import { ConfigError, NewerSchemaError } from '../../core/errors.ts';
import type { Cursor, Store, StoreFeatures, StoreHealth, StoreRecovery } from '../../core/store.ts';
import { CheckedStore } from '../shared/checked-store.ts';
import { Committer } from './commit.ts';
import { loadDriver } from './connection.ts';
import { Cursors } from './cursor.ts';
import { checkVersion, readHealth } from './health.ts';
import { Journal } from './journal.ts';
import { Keys, metaKey, slotOf } from './keys.ts';
import { Known } from './known.ts';
import { type RedisSettings, type RedisStoreOptions, readSettings } from './options.ts';
import { Reads } from './reads.ts';
import { loadScripts } from './scripts.ts';
import { Servers } from './servers.ts';
import { Texts } from './texts.ts';
import { Waker } from './waker.ts';

export type { RedisStoreOptions };

/** The layout of the keys. A change of it gets the next number. */
const FORMAT = 1;
const SHARDS = 64;

/** A store on Redis, a Redis Cluster or Valkey. Any number of processes may use it at once. */
export class RedisStore extends CheckedStore implements Store {
  readonly name = 'redis';
  readonly features: StoreFeatures = {
    persistent: true,
    shared: true,
    textSearch: true,
    vectorSearch: false,
  };
  readonly recovery: StoreRecovery = {
    reconnect: async () => {
      this.life.check();
      await this.#servers.reconnect();
    },
  };
  readonly #settings: RedisSettings;
  readonly #servers: Servers;
  readonly #keys: Keys;
  protected readonly parts: {
    readonly reads: Reads;
    readonly journal: Journal;
    readonly committer: Committer;
    readonly texts: Texts;
  };
  readonly #waker: Waker;

  private constructor(
    settings: RedisSettings,
    servers: Servers,
    keys: Keys,
    cursors: Cursors,
    journal: Journal,
    known: Known,
  ) {
    super();
    this.#settings = settings;
    this.#servers = servers;
    this.#keys = keys;
    const reads = new Reads(servers, keys);
    this.#waker = new Waker(servers, keys, () => journal.ends());
    const committer = new Committer({
      servers,
      keys,
      cursors,
      known,
      logsOf: (partition) => reads.logNames(partition),
      onCommit: () => this.#waker.hear(),
    });
    this.parts = { reads, journal, committer, texts: new Texts(servers, keys) };
  }

  /**
   * Opens the keyspace of a prefix, making it where there is none.
   * @param url `redis://[user:password@]host[:port][/db]`, `rediss://…` with TLS, or `redis-cluster://host:port,…` with
   * any of the nodes (`?tls=true` for TLS). Parameters: `shards`, `prefix`; options go before them
   * @throws ConfigError for bad options, a wrong password, or another number of shards than the keyspace has;
   * UnsupportedError for a server before 7.0, NewerSchemaError, StoreUnavailableError, MissingPackageError
   */
  static async open(url: string, options: RedisStoreOptions = {}): Promise<RedisStore> {
    const settings = readSettings(url, options);
    const [driver, scripts] = await Promise.all([loadDriver(), loadScripts()]);
    const servers = new Servers(settings, driver, scripts);
    try {
      await servers.ready();
      await checkVersion(servers);
      const { id, shards } = await openKeyspace(servers, settings);
      const keys = new Keys(settings.prefix, shards);
      const cursors = new Cursors(id, shards);
      const journal = new Journal(servers, keys, cursors);
      const known = new Known(
        () => journal.ends(),
        () => servers.losses,
      );
      await known.refresh();
      return new RedisStore(settings, servers, keys, cursors, journal, known);
    } catch (error) {
      servers.close();
      throw error;
    }
  }

  async waitForChanges(after: Cursor, signal?: AbortSignal): Promise<void> {
    this.life.check();
    signal?.throwIfAborted();
    const { positions, ends } = await this.parts.journal.check(after);
    this.life.check();
    signal?.throwIfAborted();
    if (ends.some((end, shard) => end > positions[shard]!)) return;
    await this.#waker.wait(positions, signal);
  }

  async trimChanges(upTo: Cursor, keep: readonly Cursor[] = []): Promise<void> {
    this.life.check();
    await this.parts.journal.trim(upTo, keep);
  }

  async health(): Promise<StoreHealth> {
    this.life.check();
    return readHealth(this.#servers, this.#settings, this.#keys.shards);
  }

  async close(): Promise<void> {
    return this.life.end(async () => {
      this.#waker.close();
      await this.parts.committer.close();
      this.#servers.close();
    });
  }
}

/** What a keyspace is: made at its first opening, and the same for everybody from then on. */
async function openKeyspace(
  servers: Servers,
  { prefix, shards: asked }: RedisSettings,
): Promise<{ id: string; shards: number }> {
  const args = [String(FORMAT), String(asked ?? SHARDS), randomBytes(4).toString('hex')];
  const found = await servers.run('open', slotOf(prefix), [metaKey(prefix)], args, true);
  const [format, shards, id] = found as [string, string, string];
  if (Number(format) > FORMAT) throw new NewerSchemaError(Number(format), FORMAT);
  if (asked !== undefined && Number(shards) !== asked) {
    const message = `the keyspace ${prefix} has ${shards}, which can't be changed; asked for were ${asked}`;
    throw new ConfigError([{ path: 'shards', message }], {
      hint: 'Leave shards out, or copy the data to a keyspace with another prefix.',
    });
  }
  return { id, shards: Number(shards) };
}
