/** Holdfast's public names, one by one. */
import { ContextEngine as Engine } from './core/engine.ts';
import { checkOpenOptions, type EngineOptions } from './core/engine-options.ts';
import type { Store } from './core/store.ts';
import type { StoreOptions } from './core/store-options.ts';
import { openStore } from './open-store.ts';

export type { CompactionOptions } from './core/compaction/options.ts';
export type { EngineOptions } from './core/engine-options.ts';
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
export type { Compaction } from './core/model/compaction.ts';
export type { Memory } from './core/model/memory.ts';
export type { Message, MessageInput, Part } from './core/model/message.ts';
export type { Session } from './core/model/session.ts';
export type { ContextWindow } from './core/model/window.ts';
export type { Embedder } from './core/search/embedder.ts';
export type { SessionHandle } from './core/session-handle.ts';
export type { Store } from './core/store.ts';
export type { StoreOptions } from './core/store-options.ts';
export { TaskContext } from './core/tasks/context.ts';
export { taskContext } from './core/tasks/standalone.ts';
export { defineTool, type Tool, type ToolResult } from './core/tools/tool.ts';
export { openStore } from './open-store.ts';

/** The context engine. Open it with a URL, or with a store of your own. */
export class ContextEngine extends Engine {
  /**
   * Opens an engine on a store.
   * @param store `file:./agent.db` (SQLite), `redis://`, `rediss://`, `redis-cluster://`, `postgres://`, `memory:`, or a
   * store object, which was told how to behave when it was opened; `file:./holdfast.db` where absent
   * @throws ConfigError for a URL that leads nowhere and options that the store can't fulfil, MissingPackageError,
   * StoreCorruptError, NewerSchemaError, StoreUnavailableError
   */
  static async open(
    store: string | Store = 'file:./holdfast.db',
    options: EngineOptions & StoreOptions = {},
  ): Promise<ContextEngine> {
    if (typeof store !== 'string') return new ContextEngine(store, options);
    checkOpenOptions(options);
    const { durability, lockTimeoutMs, timeoutMs, fallback, ...engineOptions } = options;
    const { onError, logger } = options;
    const given = { durability, lockTimeoutMs, timeoutMs, fallback, onError, logger };
    return new ContextEngine(await openStore(store, given), engineOptions);
  }
}
