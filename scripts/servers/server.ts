import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Command, commandOf, type Program, signalContainer, type User } from './program.ts';
import { noteCommand } from './run-folder.ts';

/** A busy disk keeps a server from its work for many seconds. */
const READY_MS = 60_000;
const STOP_MS = 60_000;

/** How a server is run. */
export interface ServerSetup {
  readonly url: string;
  readonly port: number;
  /** Its data and its log; removed when the server is disposed of. */
  readonly folder: string;
  readonly program: Program;
  readonly args: readonly string[];
  /** The user it runs as, where that is not ours. */
  readonly user?: User | undefined;
  /** Resolves when the server answers; rejects when it does not yet. */
  readonly answers: () => Promise<unknown>;
}

/** A database server of our own: a child process on 127.0.0.1 with its data in a temporary folder. */
export class Server implements AsyncDisposable {
  readonly #setup: ServerSetup;
  #child: ChildProcess | undefined;
  #command: Command | undefined;

  /** Starts a server and waits until it answers. */
  static async start(setup: ServerSetup): Promise<Server> {
    const server = new Server(setup);
    try {
      await server.#launch();
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(setup: ServerSetup) {
    this.#setup = setup;
  }

  get url(): string {
    return this.#setup.url;
  }
  get port(): number {
    return this.#setup.port;
  }
  get folder(): string {
    return this.#setup.folder;
  }
  /** The process that runs now. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Shuts the server down as its administrator would. Its data stays. */
  async stop(): Promise<void> {
    await this.#end('SIGINT');
  }

  /**
   * Sends a signal: `SIGKILL` unless said otherwise, after which the process is gone when this resolves. `SIGSTOP`
   * freezes the server until `SIGCONT`.
   */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (signal === 'SIGKILL') await this.#end(signal);
    else if (this.#child) await this.#signal(this.#child, signal);
  }

  /** Starts the server again on its port and data, after it was shut down where it still runs. */
  async restart(): Promise<void> {
    await this.stop();
    const end = performance.now() + READY_MS;
    for (;;) {
      try {
        await this.#launch();
        return;
      } catch (error) {
        // What a killed server has left, its children say, may be in the way for a moment.
        if (performance.now() > end) throw error;
        await delay(50);
      }
    }
  }

  /** Stops the server and removes its data. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 10 });
  }

  async #launch(): Promise<void> {
    const { program, args, folder, user, answers } = this.#setup;
    const log = openSync(join(folder, 'log'), 'a');
    // A session of its own: Ctrl-C in the terminal reaches us, and we or the guard stop the server.
    const command = commandOf(program, args, folder, user);
    const how: SpawnOptions = { cwd: folder, detached: true, stdio: ['ignore', log, log], ...command.user };
    const child = spawn(command.file, command.args, how);
    closeSync(log);
    this.#child = child;
    this.#command = command;
    let ended: string | undefined;
    child.once('error', (error) => (ended = error.message));
    child.once('exit', (code, signal) => (ended = `it ended with ${signal ?? code}`));
    child.unref();
    noteCommand(folder, child.pid, command.container);
    const deadline = performance.now() + READY_MS;
    let problem: unknown;
    while (ended === undefined && performance.now() < deadline) {
      try {
        await answers();
        return;
      } catch (error) {
        problem = error;
        await delay(10);
      }
    }
    await this.#end('SIGKILL');
    throw new Error(`${program.path} does not start: ${ended ?? String(problem)}\n${this.#lastWords()}`);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      const exit = once(child, 'exit');
      // An unreferenced child would let us end before it.
      child.ref();
      await this.#signal(child, signal);
      // A frozen one hears nothing else.
      const late = setTimeout(() => this.#signal(child, 'SIGKILL'), STOP_MS);
      await exit;
      clearTimeout(late);
    }
    noteCommand(this.folder);
  }

  async #signal(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
    const container = this.#command?.container;
    if (container) await signalContainer(container, signal);
    else child.kill(signal);
  }

  #lastWords(): string {
    return readFileSync(join(this.folder, 'log'), 'utf8').split('\n').slice(-10).join('\n').trim();
  }
}
