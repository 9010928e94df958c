import { ClosedError, MissingPackageError } from '../../core/errors.ts';
import { CONNECTION_LOST } from './failures.ts';
import type { Access, NodeAddress } from './options.ts';
import type { Scripts } from './scripts.ts';

export type Driver = typeof import('redis');
type Client = ReturnType<typeof newClient>;
export type Command = readonly string[];

/** @throws MissingPackageError */
export async function loadDriver(): Promise<Driver> {
  try {
    return await import('redis');
  } catch (error) {
    throw new MissingPackageError('redis', 'a Redis store', error);
  }
}

export interface ConnectionOptions {
  readonly driver: Driver;
  readonly access: Access;
  readonly scripts: Scripts;
  /** How long the server may be silent while it owes an answer, before the connection is given up (milliseconds). */
  readonly silenceMs: number;
  /** Hears that a connection was lost. */
  onLost(): void;
}

/**
 * One connection to one server, made when it is needed, and made anew after it broke. Commands of a turn of the event
 * loop go out in one write. What was sent when it breaks is rejected: whether it was done is for the caller to find out.
 */
export class Connection {
  readonly #address: NodeAddress;
  readonly #options: ConnectionOptions;
  #client: Client | undefined;
  #connecting: Promise<Client> | undefined;
  #closed = false;
  /** Answers owed, and given, by the present connection. */
  #owed = 0;
  #given = 0;
  #watch: NodeJS.Timeout | undefined;
  #waiting: Promise<number> | undefined;

  constructor(address: NodeAddress, options: ConnectionOptions) {
    this.#address = address;
    this.#options = options;
  }

  /** Sends commands right after one another, and gives the last one's answer. */
  async send(commands: readonly Command[]): Promise<unknown> {
    const client = this.#ready() ?? (await this.#connect());
    return this.#sendOn(client, commands);
  }

  /** The same, and how many replicas have it by `timeoutMs`: one WAIT serves all commands of a turn. */
  async sendReplicated(
    commands: readonly Command[],
    replicas: number,
    timeoutMs: number,
  ): Promise<[unknown, number]> {
    const client = this.#ready() ?? (await this.#connect());
    const answer = this.#sendOn(client, commands);
    this.#waiting ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        this.#waiting = undefined;
        this.#sendOn(client, [['WAIT', String(replicas), String(timeoutMs)]]).then(
          (count) => resolve(Number(count)),
          reject,
        );
      });
    });
    return Promise.all([answer, this.#waiting]);
  }

  /** Listens to a channel of its shard. */
  async subscribe(channel: string, listener: () => void): Promise<void> {
    const client = this.#ready() ?? (await this.#connect());
    await client.sSubscribe(channel, listener);
  }

  /** Gives up the present connection: the next one looks the name up again. */
  renew(): void {
    if (this.#client) this.#lost(this.#client);
  }

  close(): void {
    this.#closed = true;
    this.#drop();
  }

  /** The client, unless it was lost without anybody having been told. */
  #ready(): Client | undefined {
    const client = this.#client;
    if (client && !client.isReady) this.#lost(client);
    return this.#client;
  }

  async #sendOn(client: Client, commands: readonly Command[]): Promise<unknown> {
    const last = commands.length - 1;
    for (let i = 0; i < last; i++) client.sendCommand(commands[i]!).catch(() => {});
    this.#owed++;
    this.#startWatch();
    try {
      return await client.sendCommand(commands[last]!);
    } finally {
      this.#owed--;
      this.#given++;
    }
  }

  #connect(): Promise<Client> {
    if (this.#closed) return Promise.reject(new ClosedError('store'));
    this.#connecting ??= this.#open().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #open(): Promise<Client> {
    const { scripts, silenceMs, driver } = this.#options;
    const client = newClient(driver, this.#address, this.#options);
    // Whoever waits for an answer is told by its rejection. Not every end is told of by each of these.
    for (const event of ['error', 'end', 'terminated']) client.on(event, () => this.#lost(client));
    const tooLate = setTimeout(() => client.destroy(), silenceMs);
    try {
      await client.connect();
      await Promise.all(
        Object.values(scripts).map(({ text }) => client.sendCommand(['SCRIPT', 'LOAD', text])),
      );
    } catch (error) {
      if (client.isOpen) client.destroy();
      throw error;
    } finally {
      clearTimeout(tooLate);
    }
    if (this.#closed) {
      client.destroy();
      throw new ClosedError('store');
    }
    if (!client.isReady) throw CONNECTION_LOST;
    this.#client = client;
    return client;
  }

  #lost(client: Client): void {
    if (this.#client !== client) return;
    this.#drop();
    this.#options.onLost();
  }

  #drop(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
    this.#waiting = undefined;
    const client = this.#client;
    this.#client = undefined;
    if (client?.isOpen) client.destroy();
  }

  /** A server that says nothing for too long is given up, so that what waits for it can be tried elsewhere. */
  #startWatch(): void {
    if (this.#watch) return;
    let given = this.#given;
    this.#watch = setInterval(() => {
      if (this.#owed === 0) {
        clearInterval(this.#watch);
        this.#watch = undefined;
      } else if (this.#given === given) {
        const client = this.#client;
        if (client) this.#lost(client);
      }
      given = this.#given;
    }, this.#options.silenceMs);
  }
}

/**
 * Never connected: making a client takes the driver tens of milliseconds, and making another like it next to nothing.
 * A cache and no more: it has no address, no password and no connection, so that all stores of the process share it.
 */
let model: ReturnType<typeof newModel> | undefined;

function newModel({ createClient }: Driver) {
  // Its time limit is for commands that were not sent yet, and costs a timer each: how long a call may take is ours.
  const commandOptions = { timeout: 0 };
  return createClient({ RESP: 2, maintNotifications: 'disabled', disableClientInfo: true, commandOptions });
}

function newClient(driver: Driver, { host, port }: NodeAddress, { access, silenceMs }: ConnectionOptions) {
  const { tls, username, password, database } = access;
  model ??= newModel(driver);
  return model.duplicate({
    // Trying again is ours: a command must not be sent twice behind our back.
    socket: {
      host,
      port,
      connectTimeout: silenceMs,
      reconnectStrategy: false,
      ...(tls && { tls: true as const }),
    },
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(database !== undefined && { database }),
  });
}
