import { setTimeout as delay } from 'node:timers/promises';
import { ClosedError, isHoldfastError } from '../../core/errors.ts';
import { Breaker } from '../shared/breaker.ts';
import { type Command, Connection, type Driver } from './connection.ts';
import { NO_OWNER, notReplicated, refusal, remedyFor, unavailable } from './failures.ts';
import type { RedisSettings } from './options.ts';
import type { ScriptName, Scripts } from './scripts.ts';
import { type Address, parseAddress, Topology } from './topology.ts';

/** Two connections to a node: a WAIT for replicas, or a large commit, must not hold up reads. */
interface Node {
  readonly commits: Connection;
  readonly reads: Connection;
  readonly breaker: Breaker;
}

/** How a call that is tried again stands. */
interface Trouble {
  error: unknown;
  inDoubt: boolean;
  /** An attempt is under way. */
  trying: boolean;
}

interface Call {
  /** The slot of all its keys. */
  readonly slot: number;
  readonly command: Command;
  /** It writes: it may have been done when its connection breaks, and is replicated where that is asked for. */
  readonly commit?: boolean;
}

const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 300;
/** What came of a call whose time was over. */
const LATE = Symbol('late');
const AT_ONCE = ['moved', 'ask', 'load'];
const ASKING: Command = ['ASKING'];

/**
 * The servers behind a URL: brings a call to the node that has its slot, and tries again for as long as it may take.
 * Calls have to be such that doing them twice does no harm.
 */
export class Servers {
  readonly cluster: boolean;
  readonly #settings: RedisSettings;
  readonly #driver: Driver;
  readonly #scripts: Scripts;
  readonly #topology: Topology;
  readonly #nodes = new Map<Address, Node>();
  readonly #closing = new AbortController();
  readonly #silenceMs: number;
  #learning: Promise<void> | undefined;
  #losses = 0;

  constructor(settings: RedisSettings, driver: Driver, scripts: Scripts) {
    this.#settings = settings;
    this.#driver = driver;
    this.#scripts = scripts;
    this.#topology = new Topology(settings.access);
    this.cluster = this.#topology.cluster;
    // One silent attempt leaves time for others.
    this.#silenceMs = Math.max(50, Math.ceil(settings.timeoutMs / 4));
  }

  /** The nodes that have slots, for what is asked of each. */
  get masters(): Address[] {
    return this.#topology.masters;
  }

  /** How often a connection to a server was lost: there may be another server behind the next one. */
  get losses(): number {
    return this.#losses;
  }

  /** Runs a script. @throws StoreUnavailableError, with `details.inDoubt` where it may have been done */
  run(
    script: ScriptName,
    slot: number,
    keys: readonly string[],
    args: readonly string[],
    commit = false,
  ): Promise<unknown> {
    const command = ['EVALSHA', this.#scripts[script].sha, String(keys.length), ...keys, ...args];
    return this.call({ slot, command, commit });
  }

  async call(call: Call): Promise<unknown> {
    const until = Date.now() + this.#settings.timeoutMs;
    this.#ownerNode(call.slot)?.breaker.check();
    try {
      return await this.#attempt(call, undefined);
    } catch (error) {
      // The first attempt is over long before the time is: it needs no timer of its own.
      return this.#tryAgain(call, error, until);
    }
  }

  /** Resolves when a server answers. @throws StoreUnavailableError, ConfigError */
  async ready(): Promise<void> {
    await this.call({ slot: 0, command: ['PING'] });
  }

  /** Asks one node, once. */
  ask(address: Address, command: Command): Promise<unknown> {
    return this.#node(address).reads.send([command]);
  }

  /** A new connection to a node, for what would disturb others. */
  connection(address: Address, onLost: () => void): Connection {
    return this.#newConnection(address, onLost);
  }

  ownerOf(slot: number): Address | undefined {
    return this.#topology.owner(slot);
  }

  /** Makes new connections to all masters, and asks each whether it is there. @throws StoreUnavailableError */
  async reconnect(): Promise<void> {
    const start = Date.now();
    try {
      await this.learn();
      const nodes = this.masters.map((address) => this.#node(address));
      for (const node of nodes) this.#renew(node);
      await Promise.all(nodes.map(({ breaker }) => breaker.now()));
    } catch (error) {
      if (isHoldfastError(error)) throw error;
      throw unavailable(error, Date.now() - start, false);
    }
  }

  /** Finds out which node has which slot. */
  async learn(): Promise<void> {
    if (!this.cluster) return;
    this.#learning ??= Promise.any(this.#topology.witnesses.map((address) => this.#learnFrom(address)))
      .catch((error: unknown) => {
        throw error instanceof AggregateError ? error.errors[0] : error;
      })
      .finally(() => {
        this.#learning = undefined;
      });
    return this.#learning;
  }

  close(): void {
    this.#closing.abort();
    for (const { commits, reads, breaker } of this.#nodes.values()) {
      breaker.close();
      commits.close();
      reads.close();
    }
    this.#nodes.clear();
  }

  async #tryAgain(call: Call, error: unknown, until: number): Promise<unknown> {
    const { timeoutMs } = this.#settings;
    const over = new AbortController();
    const trouble: Trouble = { error, inDoubt: false, trying: false };
    const late = delay(until - Date.now(), LATE, { signal: over.signal });
    late.catch(() => {});
    try {
      const answer = await Promise.race([this.#insist(call, trouble, over.signal), late]);
      if (answer !== LATE) return answer;
    } finally {
      over.abort();
    }
    const inDoubt = trouble.inDoubt || (trouble.trying && call.commit === true);
    const failure = unavailable(trouble.error, timeoutMs, inDoubt);
    this.#ownerNode(call.slot)?.breaker.failed(failure);
    throw failure;
  }

  /** Tries until it is over. */
  async #insist(call: Call, trouble: Trouble, over: AbortSignal): Promise<unknown> {
    for (let attempt = 0; ; attempt++) {
      const { error } = trouble;
      if (this.#closing.signal.aborted) throw new ClosedError('store');
      const remedy = remedyFor(error, this.#driver.ErrorReply);
      if (remedy.kind === 'none' || (remedy.kind === 'moved' && !this.cluster))
        throw refusal(error, trouble.inDoubt);
      trouble.inDoubt ||= call.commit === true && remedy.kind === 'reconnect';
      if (remedy.kind === 'moved') this.#topology.move(call.slot, remedy.address);
      // The first time, what was told is enough to go on.
      const atOnce = attempt === 0 && AT_ONCE.includes(remedy.kind);
      if (!atOnce) await this.#recover(attempt, remedy.kind !== 'ask');
      if (over.aborted) return LATE;
      trouble.trying = true;
      try {
        return await this.#attempt(call, remedy.kind === 'ask' ? remedy.address : undefined);
      } catch (next) {
        trouble.error = next;
      }
      trouble.trying = false;
    }
  }

  async #attempt({ slot, command, commit }: Call, asked: Address | undefined): Promise<unknown> {
    let address = asked ?? this.#topology.owner(slot);
    if (address === undefined) {
      await this.learn();
      address = this.#topology.owner(slot);
      if (address === undefined) throw NO_OWNER;
    }
    const node = this.#node(address);
    const commands = asked === undefined ? [command] : [ASKING, command];
    try {
      if (!commit) return await node.reads.send(commands);
      if (this.#settings.durability !== 'replicated') return await node.commits.send(commands);
      return await this.#replicated(node, commands);
    } catch (error) {
      const { kind } = remedyFor(error, this.#driver.ErrorReply);
      if (kind === 'load') await this.#load(node, command);
      if (kind === 'demoted') this.#renew(node);
      throw error;
    }
  }

  async #replicated(node: Node, commands: readonly Command[]): Promise<unknown> {
    const { replicas } = this.#settings;
    // Shorter than the silence that a connection is given up for.
    const waitMs = Math.ceil(this.#silenceMs / 2);
    const [answer, found] = await node.commits.sendReplicated(commands, replicas, waitMs);
    if (found < replicas) throw notReplicated(replicas, found);
    return answer;
  }

  async #load(node: Node, command: Command): Promise<void> {
    const script = Object.values(this.#scripts).find(({ sha }) => sha === command[1]);
    if (script) await node.reads.send([['SCRIPT', 'LOAD', script.text]]);
  }

  async #recover(attempt: number, learn: boolean): Promise<void> {
    const most = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** attempt);
    await delay(most * (0.5 + Math.random() / 2), undefined, { signal: this.#closing.signal }).catch(() => {
      throw new ClosedError('store');
    });
    // Who can't tell now will be asked again.
    if (learn) await this.learn().catch(() => {});
  }

  async #learnFrom(address: Address): Promise<void> {
    const answer = await this.ask(address, ['CLUSTER', 'SLOTS']);
    this.#topology.learn(answer, address);
  }

  /** Asks a node that was away whether it is of use again. @throws where it is not */
  async #probe(address: Address): Promise<void> {
    if (!this.cluster) {
      const role = await this.#asked(address, ['ROLE']);
      if (!Array.isArray(role) || role[0] === 'master') return;
      this.#renew(this.#node(address));
      throw NO_OWNER;
    }
    await this.learn();
    // Another node may have its slots by now, and it is of no concern any more.
    if (!this.masters.includes(address)) return;
    const state = await this.#asked(address, ['CLUSTER', 'INFO']);
    if (String(state).includes('cluster_state:fail')) throw NO_OWNER;
  }

  /** What a node says; undefined where it answers that it must not tell. */
  async #asked(address: Address, command: Command): Promise<unknown> {
    try {
      return await this.ask(address, command);
    } catch (error) {
      if (remedyFor(error, this.#driver.ErrorReply).kind !== 'none') throw error;
      return undefined;
    }
  }

  #renew({ commits, reads }: Node): void {
    commits.renew();
    reads.renew();
  }

  #ownerNode(slot: number): Node | undefined {
    const address = this.#topology.owner(slot);
    return address === undefined ? undefined : this.#nodes.get(address);
  }

  #node(address: Address): Node {
    const known = this.#nodes.get(address);
    if (known) return known;
    const lost = () => {
      this.#losses++;
    };
    const node = {
      commits: this.#newConnection(address, lost),
      reads: this.#newConnection(address, lost),
      breaker: new Breaker(() => this.#probe(address)),
    };
    this.#nodes.set(address, node);
    return node;
  }

  #newConnection(address: Address, onLost: () => void): Connection {
    if (this.#closing.signal.aborted) throw new ClosedError('store');
    return new Connection(parseAddress(address), {
      driver: this.#driver,
      access: this.#settings.access,
      scripts: this.#scripts,
      silenceMs: this.#silenceMs,
      onLost,
    });
  }
}
