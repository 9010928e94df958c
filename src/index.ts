/** Holdfast's public names, one by one. */
import { checkOpenOptions, ContextEngine as Engine, type EngineOptions } from './core/engine.ts';
import type { Store } from './core/store.ts';
import { parseStoreUrl } from './core/store-url.ts';

export type { Channel } from './core/channels/channels.ts';
export type { EngineOptions } from './core/engine.ts';
export {
  BudgetError,
  ClosedError,
  ConfigError,
  ConflictError,
  CursorExpiredError,
  type ErrorCode,
  HoldfastError,
  InvalidInputError,
  isHoldfastError,
  MissingPackageError,
  NewerSchemaError,
  NotFoundError,
  StoreCorruptError,
  StoreUnavailableError,
  UnsupportedError,
} from './core/errors.ts';
export type { EngineEvent, EventType } from './core/events/catalog.ts';
export type { Message, MessageInput, Part } from './core/model/message.ts';
export type { Session } from './core/model/session.ts';
export type { ContextWindow, WindowManifest } from './core/model/window.ts';
export type { SessionHandle } from './core/session-handle.ts';
export type { Store } from './core/store.ts';
export type { TokenCounter } from './core/tokens/counter.ts';

/** How a file that is opened by URL behaves; a store in memory has nothing to make durable, or to wait for. */
export interface StoreOptions {
  /**
   * `full` (default): an acknowledged write survives a power cut. `normal`: it survives the death of the process, and
   * a power cut may take the last moments.
   */
  durability?: 'full' | 'normal';
  /** How long to wait for another process's write before giving up (milliseconds; 10 000). */
  lockTimeoutMs?: number;
}

/** The context engine. Open it with a URL, or with a store of your own. */
export class ContextEngine extends Engine {
  /**
   * Opens an engine on a store.
   * @param store `memory:`, `file:./agent.db` (SQLite), or a store object; `file:./holdfast.db` where absent
   * @throws ConfigError for a URL that leads nowhere, StoreCorruptError, NewerSchemaError, StoreUnavailableError
   */
  static async open(
    store: string | Store = 'file:./holdfast.db',
    options: EngineOptions & StoreOptions = {},
  ): Promise<ContextEngine> {
    // A store that is open already was told how to behave when it was opened.
    if (typeof store !== 'string') return new ContextEngine(store, options);
    checkOpenOptions(options);
    const { durability, lockTimeoutMs, ...engineOptions } = options;
    const given = {
      ...(durability && { durability }),
      ...(lockTimeoutMs !== undefined && { lockTimeoutMs }),
    };
    return new ContextEngine(await openStore(store, given), engineOptions);
  }
}

/** Opens the store that a URL names. Its driver is loaded only now. */
export async function openStore(
  url: string,
  { durability, lockTimeoutMs }: StoreOptions = {},
): Promise<Store> {
  const address = parseStoreUrl(url);
  if (address.kind === 'memory') {
    const { MemoryStore } = await import('./stores/memory/index.ts');
    return new MemoryStore();
  }
  const { SqliteStore } = await import('./stores/sqlite/index.ts');
  return SqliteStore.open(address.path, {
    ...(durability && { durability }),
    ...(lockTimeoutMs !== undefined && { lockTimeoutMs }),
  });
}
