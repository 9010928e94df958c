import { setTimeout as delay } from 'node:timers/promises';
import { ClosedError } from '../../core/errors.ts';
import { type Command, Connection, type Driver } from './connection.ts';
import { NO_OWNER, notReplicated, refusal, remedyFor, unavailable } from './failures.ts';
import type { RedisSettings } from './options.ts';
import type { ScriptName, Scripts } from './scripts.ts';
import { type Address, parseAddress, Topology } from './topology.ts';

/** Two connections to a node: a WAIT for replicas, or a large commit, must not hold up reads. */
interface Node {
  readonly commits: Connection;
  readonly reads: Connection;
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
    const { timeoutMs } = this.#settings;
    const until = Date.now() + timeoutMs - this.#silenceMs;
    let inDoubt = false;
    let asked: Address | undefined;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#attempt(call, asked);
      } catch (error) {
        if (this.#closing.signal.aborted) throw new ClosedError('store');
        const remedy = remedyFor(error, this.#driver.ErrorReply);
        if (remedy.kind === 'none') throw refusal(error, inDoubt);
        inDoubt ||= call.commit === true && remedy.kind === 'reconnect';
        if (Date.now() >= until) throw unavailable(error, timeoutMs, inDoubt);
        asked = remedy.kind === 'ask' ? remedy.address : undefined;
        if (remedy.kind === 'moved') this.#topology.move(call.slot, remedy.address);
        // The first time, what was told is enough to go on.
        const atOnce = attempt === 0 && AT_ONCE.includes(remedy.kind);
        if (!atOnce) await this.#recover(attempt, remedy.kind !== 'ask');
      }
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
    for (const { commits, reads } of this.#nodes.values()) {
      commits.close();
      reads.close();
    }
    this.#nodes.clear();
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
      if (kind === 'demoted') {
        node.commits.renew();
        node.reads.renew();
      }
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

  #node(address: Address): Node {
    const known = this.#nodes.get(address);
    if (known) return known;
    const lost = () => {
      this.#losses++;
    };
    const node = { commits: this.#newConnection(address, lost), reads: this.#newConnection(address, lost) };
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
