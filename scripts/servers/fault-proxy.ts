import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './free-port.ts';

/** What is wrong with the network between a client and a server. */
interface Faults {
  latencyMs: number;
  /** What does not get through. */
  lost: { requests: boolean; answers: boolean };
}

/** Stands before a server on 127.0.0.1 and does to its connections what networks do. */
export class FaultProxy implements AsyncDisposable {
  readonly #target: number;
  readonly #faults: Faults = { latencyMs: 0, lost: { requests: false, answers: false } };
  readonly #connections = new Set<Connection>();
  readonly #port: number;
  #door: Server | undefined;

  /** Starts a proxy before the server on port `target`. */
  static async start(target: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(target, await freePort());
    await proxy.refuse(false);
    return proxy;
  }

  private constructor(target: number, port: number) {
    this.#target = target;
    this.#port = port;
  }

  /** The port that clients connect to instead of the server's. */
  get port(): number {
    return this.#port;
  }

  /** The server's URL, leading through the proxy. */
  through(url: string): string {
    return url.replace(`:${this.#target}`, `:${this.#port}`);
  }

  /** Delays what is sent from now on, in either direction: an answer comes after twice as much (milliseconds). */
  setLatency(ms: number): void {
    this.#faults.latencyMs = ms;
  }

  /**
   * Lets nothing through, or no answers, and tells nobody: what is sent meanwhile is not lost for good, but arrives
   * once the hole is gone, as what TCP sends again does. New connections seem to succeed.
   */
  blackHole(on: boolean | 'answers'): void {
    this.#faults.lost = { requests: on === true, answers: on !== false };
    for (const connection of this.#connections) connection.flow();
  }

  /** Breaks all connections at both ends; what was on its way is lost. New ones are accepted. */
  reset(): void {
    for (const connection of this.#connections) connection.reset();
  }

  /** Refuses new connections, as a machine does on which no server runs; those that stand stay. */
  async refuse(on: boolean): Promise<void> {
    if (on === (this.#door === undefined)) return;
    if (on) {
      this.#door?.close();
      this.#door = undefined;
      return;
    }
    const door = createServer({ allowHalfOpen: true }, (client) => this.#connect(client));
    door.listen(this.#port, '127.0.0.1');
    await once(door, 'listening');
    this.#door = door;
  }

  /** Breaks all connections and accepts no more. */
  async close(): Promise<void> {
    await this.refuse(true);
    this.reset();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #connect(client: Socket): void {
    const server = connect({ port: this.#target, host: '127.0.0.1', allowHalfOpen: true });
    const connection: Connection = new Connection(client, server, this.#faults, () =>
      this.#connections.delete(connection),
    );
    this.#connections.add(connection);
  }
}

/** A client and the server, with a lane in each direction. When one end breaks, so does the other. */
class Connection {
  readonly #ends: readonly [Socket, Socket];
  readonly #lanes: readonly [Lane, Lane];

  constructor(client: Socket, server: Socket, faults: Faults, gone: () => void) {
    this.#ends = [client, server];
    this.#lanes = [new Lane(client, server, faults, 'requests'), new Lane(server, client, faults, 'answers')];
    for (const end of this.#ends) {
      end.setNoDelay();
      end.on('error', () => this.reset());
      end.on('close', () => {
        if (this.#ends.every(({ destroyed }) => destroyed)) gone();
      });
    }
  }

  flow(): void {
    for (const lane of this.#lanes) lane.flow();
  }

  reset(): void {
    for (const end of this.#ends) if (!end.destroyed) end.resetAndDestroy();
  }
}

/** One direction of a connection: what comes in at one end goes out at the other when it is due, in order. */
class Lane {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #faults: Faults;
  readonly #kind: keyof Faults['lost'];
  /** What is on its way; without a chunk it is the end. */
  readonly #queue: { readonly chunk?: Buffer; readonly due: number }[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(from: Socket, to: Socket, faults: Faults, kind: keyof Faults['lost']) {
    this.#from = from;
    this.#to = to;
    this.#faults = faults;
    this.#kind = kind;
    from.on('data', (chunk) => this.#send({ chunk }));
    from.on('end', () => this.#send({}));
    to.on('drain', () => this.flow());
    this.flow();
  }

  /** Passes on what is due, and looks again when the next is. */
  flow(): void {
    clearTimeout(this.#timer);
    if (this.#faults.lost[this.#kind]) {
      this.#from.pause();
      return;
    }
    for (let next = this.#queue[0]; next; next = this.#queue[0]) {
      const wait = next.due - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.flow(), wait);
        break;
      }
      this.#queue.shift();
      if (next.chunk) this.#to.write(next.chunk);
      else this.#to.end();
    }
    if (this.#to.writableNeedDrain) this.#from.pause();
    else this.#from.resume();
  }

  #send(what: { chunk?: Buffer }): void {
    this.#queue.push({ ...what, due: performance.now() + this.#faults.latencyMs });
    this.flow();
  }
}
