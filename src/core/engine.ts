import { z } from 'zod';
import { callLog } from './call-log.ts';
import { ChannelService } from './channels/channels.ts';
import { type Clock, systemClock } from './clock.ts';
import { CompactionService } from './compaction/compactions.ts';
import { type CompactionOptions, compactionOptionsSchema } from './compaction/options.ts';
import { BackgroundWork } from './concurrency/background.ts';
import { ConcurrencyController } from './concurrency/controller.ts';
import { type EngineConcurrencyOptions, engineConcurrencySchema } from './concurrency/options.ts';
import { Tally } from './concurrency/tally.ts';
import { type CopyOptions, type CopyResult, copyStore } from './copy/copy.ts';
import { InvalidInputError, UnsupportedError } from './errors.ts';
import { EventService } from './events/events.ts';
import { HealthService } from './health/health.ts';
import { type HealthOptions, healthOptionsSchema } from './health/options.ts';
import { Recovery } from './health/recovery.ts';
import { durationSchema, idSchema, parseInput } from './input.ts';
import { EngineLog, type Logger } from './logger.ts';
import { Maintenance } from './maintenance.ts';
import { MemoryService } from './memory/memory.ts';
import { type MemoryOptions, memoryOptionsSchema } from './memory/options.ts';
import { MessageService } from './messages/messages.ts';
import { instrument } from './monitor/instrument.ts';
import { Instruments } from './monitor/instruments.ts';
import { MonitorService } from './monitor/monitor.ts';
import { type MonitorOptions, monitorOptionsSchema } from './monitor/options.ts';
import { Records } from './records.ts';
import {
  type EmbedderLike,
  type EmbeddingOptions,
  embedderSchema,
  embeddingSchema,
} from './search/embedder.ts';
import { TextIndex } from './search/text-index.ts';
import type { ServiceContext } from './services.ts';
import { SessionHandle } from './session-handle.ts';
import { SessionService } from './sessions/sessions.ts';
import { StateService } from './state/state.ts';
import type { Store, StoreHealth } from './store.ts';
import { MAX_TIMER_MS, storeOptionsShape } from './store-options.ts';
import { TaskService } from './tasks/tasks.ts';
import { Timeline } from './tasks/timeline.ts';
import { type TokenCounter, TokenCounters } from './tokens/counter.ts';
import { TokenLedger } from './tokens/ledger.ts';
import { TokenSettler } from './tokens/settler.ts';
import { type ToolOptions, toolOptionsSchema } from './tools/options.ts';
import { ToolService } from './tools/tools.ts';
import { WindowService } from './window/window.ts';

export interface EngineOptions {
  /** Whose data this is; `default` where absent. Tenants never see each other's data. */
  tenant?: string;
  /** Counts tokens in place of the tokenizers that come along (`o200k_base` where no model is named). */
  tokenCounter?: TokenCounter;
  /**
   * Lets searches go by meaning as well as by words: an embedding model of the AI SDK, or an object of your own. Its
   * vectors are made in the background; no append and no search waits for them.
   */
  embedder?: EmbedderLike;
  /** How the embedder is called. */
  embedding?: EmbeddingOptions;
  /** How often expired sessions are swept and the journal is trimmed (milliseconds; 60 000). 0: never by itself. */
  maintenanceIntervalMs?: number;
  /** How long the journal keeps what has happened (milliseconds; seven days), for subscribers that fall behind. */
  journalKeepMs?: number;
  /** How much is remembered, and for how long: see docs/memory.md. */
  memory?: MemoryOptions | undefined;
  /** Hears of failures in the background: a listener that throws, a sweep that fails. Default: the logger; without one a process warning. */
  onError?: (error: unknown) => void;
  /** How histories are compacted when they get long. Each of the options says its default. */
  compaction?: CompactionOptions;
  /** How many jobs run and wait in {@link ContextEngine.concurrency}: see docs/concurrency.md. */
  concurrency?: EngineConcurrencyOptions | undefined;
  /** After how long without use a session expires that says nothing else (milliseconds). Absent: never. */
  sessionTtlMs?: number | undefined;
  /** What a window may hold that says nothing else (tokens). Absent: each one has to say it. */
  maxTokens?: number | undefined;
  /** What the history of a task may hold that says nothing else (characters of data; 1000). */
  taskMaxSize?: number | undefined;
  /** How it is looked after whether all is well; only when asked for where absent. */
  health?: HealthOptions | undefined;
  /** Is told what happens, one event a line, with ids and never with content: a `pino()`, or what is like it. */
  logger?: Logger | undefined;
  /** What is watched, and how often a point of its history is taken: see docs/monitoring.md. */
  monitor?: MonitorOptions | undefined;
  /** How tools are called: see docs/tools.md. */
  tools?: ToolOptions | undefined;
  clock?: Clock;
}

const tenantSchema = idSchema.refine(
  (name) => !name.startsWith('$'),
  "must not start with '$', which is reserved",
);
const optionsSchema = z.strictObject({
  tenant: tenantSchema.optional(),
  tokenCounter: z.custom<TokenCounter>().optional(),
  embedder: embedderSchema.optional(),
  embedding: embeddingSchema.optional(),
  maintenanceIntervalMs: z.int().min(0).max(MAX_TIMER_MS).optional(),
  journalKeepMs: z.number().min(0).optional(),
  memory: memoryOptionsSchema.optional(),
  onError: storeOptionsShape.onError,
  compaction: compactionOptionsSchema.optional(),
  concurrency: engineConcurrencySchema.optional(),
  monitor: monitorOptionsSchema.optional(),
  sessionTtlMs: durationSchema.optional(),
  maxTokens: z.int().min(1).max(100_000_000).optional(),
  taskMaxSize: z.int().min(1).optional(),
  health: healthOptionsSchema.optional(),
  logger: storeOptionsShape.logger,
  tools: toolOptionsSchema.optional(),
  clock: z
    .custom<Clock>(
      (value) => typeof (value as Clock | null)?.now === 'function',
      'expected an object with now()',
    )
    .optional(),
});
const openSchema = optionsSchema.extend(storeOptionsShape);
/** Views of tenants that are kept at hand; one that was forgotten is made anew when it is asked for. */
const MAX_TENANTS = 1000;
const DAY_MS = 24 * 60 * 60 * 1000;

/** Checks the options of an engine and of the store that is opened for it, before anything is opened. */
export function checkOpenOptions(options: object): void {
  parseInput(openSchema, options, 'ContextEngine.open');
}

/** The context engine: its services, wired to one store. */
export class ContextEngine implements AsyncDisposable {
  readonly tenantName: string;
  readonly sessions: SessionService;
  readonly messages: MessageService;
  readonly channels: ChannelService;
  readonly state: StateService;
  readonly events: EventService;
  readonly window: WindowService;
  readonly memory: MemoryService;
  readonly tasks: TaskService;
  readonly tools: ToolService;
  /** Jobs of your own, by ids of this tenant; the slots that they run in, and the numbers, are those of all tenants. */
  readonly concurrency: ConcurrencyController;
  /** How the engine is doing: numbers, a score, and what would help. */
  readonly monitor: MonitorService;
  /** How the store, its journal and this process are: one for all tenants. */
  readonly health: HealthService;
  readonly #store: Store;
  readonly #options: EngineOptions;
  readonly #settler: TokenSettler;
  /** One for all tenants, as is the text index. */
  readonly #background: BackgroundWork;
  readonly #compactions: CompactionService;
  /** What watches all tenants; undefined where monitoring is switched off. */
  readonly #instruments: Instruments | undefined;
  /** One for all tenants of a store. */
  readonly #textIndex: TextIndex;
  /** The engine that was opened, where this one is only its view of a tenant. */
  readonly #root: ContextEngine | undefined;
  readonly #maintenance: Maintenance | undefined;
  readonly #closing = new AbortController();
  readonly #tenants = new Map<string, ContextEngine>();

  /**
   * Use `ContextEngine.open` unless you have made the store yourself; the engine closes it.
   * @param root for {@link tenant} only
   */
  constructor(given: Store, options: EngineOptions = {}, root?: ContextEngine) {
    parseInput(optionsSchema, options, 'engine');
    const { tenant = 'default', clock = systemClock, logger } = options;
    const log = new EngineLog(logger, tenant);
    const onError = options.onError ?? (logger ? (error: unknown) => log.failed(error) : warn);
    this.#root = root;
    this.tenantName = tenant;
    const isWatched = options.monitor?.enabled !== false;
    this.#instruments = root ? root.#instruments : isWatched ? new Instruments(given) : undefined;
    const store = root ? given : (this.#instruments?.store ?? given);
    this.#store = store;
    this.#options = options;
    const { maxCompactions, ...concurrency } = options.concurrency ?? {};
    const background = root ? root.#background : new BackgroundWork(new Tally(clock), maxCompactions);
    this.#background = background;
    this.concurrency = new ConcurrencyController(concurrency, background.tally, root?.concurrency);
    const records = new Records(store);
    const context: ServiceContext = { store, records, tenant, clock, background, log, defaults: options };
    const ledger = new TokenLedger(store, new TokenCounters(options.tokenCounter));
    this.#settler = new TokenSettler(store, ledger, background);
    this.#textIndex = root
      ? root.#textIndex
      : new TextIndex(store, { ...options, clock, onError, background });
    const { searcher } = this.#textIndex;
    this.sessions = new SessionService(context);
    const { activity } = this.sessions;
    const compactions = new CompactionService(context, { activity, ledger, onError }, options.compaction);
    this.#compactions = compactions;
    const { guard } = compactions;
    this.messages = new MessageService(context, {
      activity,
      guard,
      ledger,
      settler: this.#settler,
      searcher,
      textIndex: this.#textIndex,
    });
    this.channels = new ChannelService(context, { messages: this.messages, activity });
    this.state = new StateService(context, activity);
    const timeline = new Timeline(context, activity);
    this.tasks = new TaskService(context, { sessions: this.sessions, timeline });
    this.tools = new ToolService(context, { root: root?.tools, timeline, activity, onError }, options.tools);
    const own = this.#closing.signal;
    const closing = root ? AbortSignal.any([root.#closing.signal, own]) : own;
    this.events = new EventService(context, { onError, closing });
    this.memory = new MemoryService(context, {
      searcher,
      userOf: async (sessionId) => (await this.sessions.get(sessionId)).userId,
      onError,
      options: options.memory,
    });
    const { memory } = this;
    this.window = new WindowService(context, { activity, ledger, compactions, searcher, memory });
    const { maintenanceIntervalMs = 60_000, journalKeepMs = 7 * DAY_MS } = options;
    this.health = root?.health ?? this.#makeHealth({ clock, journalKeepMs, log, onError });
    this.monitor = this.#makeMonitor(context, { maintenanceIntervalMs, closing });
    this.#watch(tenant, log);
    if (root) return;
    const housekeeping = { intervalMs: maintenanceIntervalMs, journalKeepMs, onError };
    this.#maintenance = new Maintenance(
      context,
      { events: this.events, textIndex: this.#textIndex, sweepMemories: () => this.#sweepMemories() },
      housekeeping,
    );
  }

  #makeMonitor(
    context: ServiceContext,
    lives: { maintenanceIntervalMs: number; closing: AbortSignal },
  ): MonitorService {
    return new MonitorService(context, this.#instruments, {
      ...lives,
      options: this.#options.monitor,
      root: this.#root?.monitor,
      concurrency: this.concurrency,
      waiting: () => ({ tokens: this.#settler.waiting, index: this.#textIndex.waiting }),
      toolCache: () => this.tools.cacheUse,
    });
  }

  /** Whoever hears of calls hears of those of the services that are listed here. */
  #watch(tenant: string, log: EngineLog): void {
    const { sessions, messages, channels, state, events, window, memory, tasks, tools, concurrency } = this;
    const { leases } = sessions;
    const services = { sessions, leases, messages, channels, state, events, window, memory, tasks, tools };
    const observers = [...(this.#instruments?.observers ?? []), callLog(log)];
    const meter = this.#instruments?.meter;
    instrument({ ...services, concurrency }, { tenant, meter, observers });
  }

  /** A session's services, with its id filled in. Nothing is read or written: the session need not exist yet. */
  session(id: string): SessionHandle {
    return new SessionHandle(this, id);
  }

  /** The same engine in another tenant, on the same store. It closes with this one; closing it leaves the store open. */
  tenant(name: string): ContextEngine {
    if (this.#root) return this.#root.tenant(name);
    parseInput(tenantSchema, name, 'engine.tenant');
    if (name === this.tenantName) return this;
    const engine =
      this.#tenants.get(name) ?? new ContextEngine(this.#store, { ...this.#options, tenant: name }, this);
    // The map's order is that of last use.
    this.#tenants.delete(name);
    this.#tenants.set(name, engine);
    if (this.#tenants.size > MAX_TENANTS) this.#forgetTenant();
    return engine;
  }

  /** Lets go of the view that was not used for longest; one whose jobs are known to nobody else counts as used. */
  #forgetTenant(): void {
    const [name, engine] = this.#tenants.entries().next().value!;
    this.#tenants.delete(name);
    if (engine.concurrency.isInUse) this.#tenants.set(name, engine);
  }

  /** The vectors that the embedder gives, of all tenants; undefined without an embedder. */
  get embeddings(): { settled(): Promise<void> } | undefined {
    return this.#textIndex.embeddings;
  }

  /** What the store says of itself. */
  storeHealth(): Promise<StoreHealth & { name: string }> {
    return this.#store.health().then((health) => ({ name: this.#store.name, ...health }));
  }

  /**
   * Copies the whole store, all tenants, into that of another engine: every version and seq stays what it is. What is
   * written meanwhile is copied as well: it ends when nothing more comes. One that was cut off goes on where it was.
   * @throws ConflictError, and nothing is written, when the target holds anything but an earlier run of this copy
   */
  async copyTo(target: ContextEngine, options: CopyOptions = {}): Promise<CopyResult> {
    if (!(#store in target))
      throw new InvalidInputError('copyTo', [{ path: '', message: 'expected an engine' }]);
    if (this.#root || target.#root) {
      throw new UnsupportedError("a tenant's data can't be copied alone: a copy is of the whole store", {
        hint: 'Call copyTo of the engine that was opened, with an engine that was opened.',
      });
    }
    return copyStore(this.#store, target.#store, options);
  }

  #makeHealth(parts: { clock: Clock; journalKeepMs: number; log: EngineLog; onError(error: unknown): void }) {
    const recovery = new Recovery(this.#store, this.#textIndex, parts.onError);
    const watched = { store: this.#store, recovery, process: this.#instruments?.process };
    const health = new HealthService({ ...watched, ...parts }, this.#options.health);
    if (this.#instruments) this.#instruments.meter.onUnavailable = () => health.doubt();
    health.onChange(({ status, reasons }, before) =>
      parts.log[status === 'healthy' ? 'info' : 'warn']({ status, before, reasons }, 'health changed'),
    );
    return health;
  }

  /** Of the tenants that are in use here: no index goes over all of them. */
  async #sweepMemories(): Promise<void> {
    for (const engine of [this, ...this.#tenants.values()]) await engine.memory.sweep();
  }

  /** Finishes what is under way and closes the store. Everything acknowledged is kept; further calls fail. */
  async close(): Promise<void> {
    const views = this.#root ? this.#root.#tenants : this.#tenants;
    if (views.get(this.tenantName) === this) views.delete(this.tenantName);
    await this.concurrency.close();
    this.#closing.abort();
    await Promise.all([...this.#tenants.values()].map((engine) => engine.close()));
    if (!this.#root) await this.health.close();
    await this.#maintenance?.close();
    await this.monitor.close();
    await this.tools.close();
    await this.tasks.close();
    await this.#compactions.close();
    await this.memory.close();
    await this.#settler.close();
    if (!this.#root) await this.#textIndex.close();
    if (!this.#root) await this.#store.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error), 'HoldfastWarning');
}
