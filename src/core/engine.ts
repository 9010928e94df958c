import { z } from 'zod';
import { ChannelService } from './channels/channels.ts';
import { type Clock, systemClock } from './clock.ts';
import { InvalidInputError } from './errors.ts';
import { EventService } from './events/events.ts';
import { idProblem } from './ids.ts';
import { parseInput } from './input.ts';
import { Maintenance } from './maintenance.ts';
import { MessageService } from './messages/messages.ts';
import { Records } from './records.ts';
import type { ServiceContext } from './services.ts';
import { SessionHandle } from './session-handle.ts';
import { SessionService } from './sessions/sessions.ts';
import { StateService } from './state/state.ts';
import type { Store, StoreHealth } from './store.ts';
import { type TokenCounter, TokenCounters } from './tokens/counter.ts';
import { TokenLedger } from './tokens/ledger.ts';
import { TokenSettler } from './tokens/settler.ts';
import { WindowService } from './window/window.ts';

export interface EngineOptions {
  /** Whose data this is; `default` where absent. Tenants never see each other's data. */
  tenant?: string;
  /** Counts tokens in place of the tokenizers that come along (`o200k_base` where no model is named). */
  tokenCounter?: TokenCounter;
  /** How often expired sessions are swept and the journal is trimmed (milliseconds; 60 000). 0: never by itself. */
  maintenanceIntervalMs?: number;
  /** How long the journal keeps what has happened (milliseconds; seven days), for subscribers that fall behind. */
  journalKeepMs?: number;
  /** Hears of failures in the background: a listener that throws, a sweep that fails. Default: a process warning. */
  onError?: (error: unknown) => void;
  clock?: Clock;
}

/** Timers take no longer times. */
const MAX_INTERVAL_MS = 2 ** 31 - 1;
const optionsSchema = z.object({
  maintenanceIntervalMs: z.int().min(0).max(MAX_INTERVAL_MS).optional(),
  journalKeepMs: z.number().min(0).optional(),
});
const DAY_MS = 24 * 60 * 60 * 1000;

/** The context engine: its services, wired to one store. */
export class ContextEngine implements AsyncDisposable {
  readonly tenantName: string;
  readonly sessions: SessionService;
  readonly messages: MessageService;
  readonly channels: ChannelService;
  readonly state: StateService;
  readonly events: EventService;
  readonly window: WindowService;
  readonly #store: Store;
  readonly #options: EngineOptions;
  readonly #settler: TokenSettler;
  readonly #maintenance: Maintenance;
  readonly #tenants = new Map<string, ContextEngine>();

  /** Use `ContextEngine.open` unless you have made the store yourself; the engine closes it. */
  constructor(store: Store, options: EngineOptions = {}) {
    parseInput(optionsSchema, options, 'engine');
    const { tenant = 'default', clock = systemClock, onError = warn } = options;
    checkTenant(tenant);
    this.tenantName = tenant;
    this.#store = store;
    this.#options = options;
    const context: ServiceContext = { store, records: new Records(store), tenant, clock };
    const ledger = new TokenLedger(store, new TokenCounters(options.tokenCounter));
    this.#settler = new TokenSettler(store, ledger);
    this.sessions = new SessionService(context);
    const { activity } = this.sessions;
    this.messages = new MessageService(context, { activity, ledger, settler: this.#settler });
    this.channels = new ChannelService(context, { messages: this.messages, activity });
    this.state = new StateService(context, activity);
    this.events = new EventService(context, onError);
    this.window = new WindowService(context, { activity, ledger });
    const { maintenanceIntervalMs = 60_000, journalKeepMs = 7 * DAY_MS } = options;
    this.#maintenance = new Maintenance(this, { intervalMs: maintenanceIntervalMs, journalKeepMs, onError });
  }

  /** A session's services, with its id filled in. Nothing is read or written: the session need not exist yet. */
  session(id: string): SessionHandle {
    return new SessionHandle(this, id);
  }

  /** The same engine in another tenant, on the same store. It closes with this one. */
  tenant(name: string): ContextEngine {
    if (name === this.tenantName) return this;
    checkTenant(name);
    const known = this.#tenants.get(name);
    if (known) return known;
    const engine = new ContextEngine(this.#store, { ...this.#options, tenant: name });
    this.#tenants.set(name, engine);
    return engine;
  }

  /** What the store says of itself. */
  storeHealth(): Promise<StoreHealth & { name: string }> {
    return this.#store.health().then((health) => ({ name: this.#store.name, ...health }));
  }

  /** Finishes what is under way and closes the store. Everything acknowledged is kept; further calls fail. */
  async close(): Promise<void> {
    await this.#stop();
    await this.#store.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #stop(): Promise<void> {
    await Promise.all([...this.#tenants.values()].map((engine) => engine.#stop()));
    this.events.close();
    await this.#maintenance.close();
    await this.#settler.close();
  }
}

/** @throws InvalidInputError */
function checkTenant(name: string): void {
  const problem =
    idProblem(name) ?? (name.startsWith('$') ? "must not start with '$', which is reserved" : undefined);
  if (problem) throw new InvalidInputError('engine', [{ path: 'tenant', message: problem }]);
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error), 'HoldfastWarning');
}
