import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Partition } from '../../src/core/store.ts';

export type Order =
  | { do: 'open' }
  | { do: 'append'; log: string; from: number; count: number }
  | { do: 'wait' }
  | { do: 'close' };

export type Answer = { ready: true } | { acknowledged: number } | { ok: unknown } | { error: string };

export const PLACE: Partition = { tenant: 'default', type: 'session', id: 'shared' };

/** Another process on a SQLite file, from the outside. */
export class Worker {
  readonly process: ChildProcess;
  /** What was acknowledged so far. */
  readonly acknowledged: number[] = [];
  #heard: () => void = () => {};

  private constructor(process: ChildProcess) {
    this.process = process;
    process.on('message', (answer: Answer) => {
      if ('acknowledged' in answer) this.acknowledged.push(answer.acknowledged);
      this.#heard();
    });
  }

  /** Starts a process that has loaded everything and waits for orders. */
  static async start(path: string, options: { uid?: number } = {}): Promise<Worker> {
    const child = fork(fileURLToPath(new URL('./sqlite-worker.ts', import.meta.url)), [path], options);
    const worker = new Worker(child);
    const gone = once(child, 'exit').then(() => Promise.reject(new Error('the worker did not start')));
    await Promise.race([once(child, 'message'), gone]);
    gone.catch(() => {});
    return worker;
  }

  /** Gives an order; resolves with what it came to, or with the error's code. */
  async obey(order: Order): Promise<unknown> {
    const answered = new Promise<unknown>((resolve, reject) => {
      const listen = (answer: Answer) => {
        if (!('ok' in answer) && !('error' in answer)) return;
        this.process.off('message', listen).off('exit', gone);
        resolve('ok' in answer ? answer.ok : answer.error);
      };
      const gone = () => reject(new Error('the worker is gone'));
      this.process.on('message', listen).once('exit', gone);
    });
    this.process.send(order);
    return answered;
  }

  /** Resolves when so many acknowledgements have come. */
  async heard(count: number): Promise<void> {
    while (this.acknowledged.length < count) {
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exit = once(this.process, 'exit');
    this.process.kill('SIGKILL');
    await exit;
  }
}
