import { callLog } from './call-log.ts';
import { ChannelService } from './channels/channels.ts';
import { CompactionService } from './compaction/compactions.ts';
import { ConcurrencyController } from './concurrency/controller.ts';
import { type CopyOptions, type CopyResult, copyStore } from './copy/copy.ts';
import { type EngineOptions, engineOptionsSchema, tenantSchema } from './engine-options.ts';
import { InvalidInputError, UnsupportedError } from './errors.ts';
import { EventService } from './events/events.ts';
import { Foundation } from './foundation.ts';
import type { HealthService } from './health/health.ts';
import { parseInput } from './input.ts';
import { EngineLog } from './logger.ts';
import { Maintenance } from './maintenance.ts';
import { MemoryService } from './memory/memory.ts';
import { MessageService } from './messages/messages.ts';
import { instrument } from './monitor/instrument.ts';
import { MonitorService } from './monitor/monitor.ts';
import { Records } from './records.ts';
import type { ServiceContext } from './services.ts';
import { SessionHandle } from './session-handle.ts';
import { SessionService } from './sessions/sessions.ts';
import { StateService } from './state/state.ts';
import type { Store, StoreHealth } from './store.ts';
import { TaskService } from './tasks/tasks.ts';
import { Timeline } from './tasks/timeline.ts';
import { TokenCounters } from './tokens/counter.ts';
import { TokenLedger } from './tokens/ledger.ts';
import { TokenSettler } from './tokens/settler.ts';
import { ToolService } from './tools/tools.ts';
import { WindowService } from './window/window.ts';

/** Views of tenants that are kept at hand; one that was forgotten is made anew when it is asked for. */
const MAX_TENANTS = 1000;

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
  readonly #shared: Foundation;
  readonly #settler: TokenSettler;
  readonly #compactions: CompactionService;
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
    parseInput(engineOptionsSchema, options, 'engine');
    const { tenant = 'default', logger } = options;
    this.#root = root;
    this.tenantName = tenant;
    const shared = root ? root.#shared : new Foundation(given, options, tenant);
    this.#shared = shared;
    const { store, clock, background, textIndex } = shared;
    const log = new EngineLog(logger, tenant);
    const onError = shared.onErrorOf(log);
    const { maxCompactions: _, ...jobs } = options.concurrency ?? {};
    this.concurrency = new ConcurrencyController(jobs, background.tally, root?.concurrency);
    const records = new Records(store);
    const context: ServiceContext = { store, records, tenant, clock, background, log, defaults: options };
    const ledger = new TokenLedger(store, new TokenCounters(options.tokenCounter));
    this.#settler = new TokenSettler(store, ledger, background);
    const { searcher } = textIndex;
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
      textIndex,
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
    this.health = shared.health;
    this.monitor = this.#makeMonitor(context, closing);
    this.#watch(tenant, log);
    if (root) return;
    const { events } = this;
    const { maintenanceIntervalMs: intervalMs, journalKeepMs } = shared;
    this.#maintenance = new Maintenance(
      context,
      { events, textIndex, sweepMemories: () => this.#sweepMemories() },
      { intervalMs, journalKeepMs, onError },
    );
  }

  #makeMonitor(context: ServiceContext, closing: AbortSignal): MonitorService {
    const { instruments, maintenanceIntervalMs, options, textIndex } = this.#shared;
    return new MonitorService(context, instruments, {
      closing,
      maintenanceIntervalMs,
      options: options.monitor,
      root: this.#root?.monitor,
      concurrency: this.concurrency,
      waiting: () => ({ tokens: this.#settler.waiting, index: textIndex.waiting }),
      toolCache: () => this.tools.cacheUse,
    });
  }

  /** Whoever hears of calls hears of those of the services that are listed here. */
  #watch(tenant: string, log: EngineLog): void {
    const { sessions, messages, channels, state, events, window, memory, tasks, tools, concurrency } = this;
    const { leases } = sessions;
    const services = { sessions, leases, messages, channels, state, events, window, memory, tasks, tools };
    const { observers = [], meter } = this.#shared.instruments ?? {};
    instrument({ ...services, concurrency }, { tenant, meter, observers: [...observers, callLog(log)] });
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
    const { store, options } = this.#shared;
    const engine = this.#tenants.get(name) ?? new ContextEngine(store, { ...options, tenant: name }, this);
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
    return this.#shared.textIndex.embeddings;
  }

  /** What the store says of itself. */
  storeHealth(): Promise<StoreHealth & { name: string }> {
    const { store } = this.#shared;
    return store.health().then((health) => ({ name: store.name, ...health }));
  }

  /**
   * Copies the whole store, all tenants, into that of another engine: every version and seq stays what it is. What is
   * written meanwhile is copied as well: it ends when nothing more comes. One that was cut off goes on where it was.
   * @throws ConflictError, and nothing is written, when the target holds anything but an earlier run of this copy
   */
  async copyTo(target: ContextEngine, options: CopyOptions = {}): Promise<CopyResult> {
    if (!(#shared in target))
      throw new InvalidInputError('copyTo', [{ path: '', message: 'expected an engine' }]);
    if (this.#root || target.#root) {
      throw new UnsupportedError("a tenant's data can't be copied alone: a copy is of the whole store", {
        hint: 'Call copyTo of the engine that was opened, with an engine that was opened.',
      });
    }
    return copyStore(this.#shared.store, target.#shared.store, options);
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
    if (this.#root) return;
    await this.#shared.textIndex.close();
    await this.#shared.store.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
