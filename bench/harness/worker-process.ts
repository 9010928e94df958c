import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A process that works for a bench or drill, from the outside: what it writes, line by line. */
export class WorkerProcess implements AsyncDisposable {
  readonly lines: string[] = [];
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #closed: Promise<unknown>;
  #errors = '';
  #gone = false;
  #heard: () => void = () => {};

  /** @param folder where workers keep what they compiled: most of a round is the start of its processes */
  constructor(file: URL, args: readonly string[], folder: string) {
    const env = { ...process.env, NODE_COMPILE_CACHE: join(folder, 'compile-cache') };
    this.#child = spawn(process.execPath, [fileURLToPath(file), ...args], { env });
    this.#closed = once(this.#child, 'close').then(([code, signal]) => {
      this.#gone = true;
      this.#errors ||= `with ${signal ?? `status ${code}`}, and not a word`;
      this.#heard();
    });
    this.#child.stderr.on('data', (chunk) => {
      this.#errors += chunk;
    });
    this.#child.stdin.on('error', () => {});
    createInterface(this.#child.stdout).on('line', (line) => {
      this.lines.push(line);
      this.#heard();
    });
  }

  /** Resolves when so many lines have come. A worker that ends before has failed. */
  async heard(count: number): Promise<void> {
    while (this.lines.length < count) {
      if (this.#gone) throw new Error(`a worker ended too early: ${this.#errors}`);
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }

  /** Resolves when it has come to its end by itself; what it said then is its last line. */
  async ended(): Promise<void> {
    while (this.lines.at(-1) !== 'stopped') await this.heard(this.lines.length + 1);
  }

  /** Lets it go on. @param line what it is told */
  go(line = 'go'): void {
    this.#child.stdin.write(`${line}\n`);
  }

  /** Tells it a line, and gives the next one that it says. */
  async ask(line: string): Promise<string> {
    const heard = this.lines.length;
    this.go(line);
    await this.heard(heard + 1);
    return this.lines[heard]!;
  }

  /** Kills it with SIGKILL; resolves when all that it had written has been read. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
