import { setTimeout as sleep } from 'node:timers/promises';
import { ClosedError, StoreUnavailableError } from '../../core/errors.ts';
import { codeOf, failureOf, translated } from './failures.ts';
import { hash } from './hash.ts';
import { ignoreError, type PostgresClient, type PostgresPool } from './pool.ts';

const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 500;
/** A prepared statement that is not there, or is there already. */
const LOST_STATEMENT = ['26000', '42P05'];

/** Calls to the server: each as often as it takes, and no longer than the time limit. */
export class Database {
  readonly #pool: PostgresPool;
  readonly #timeoutMs: number;
  readonly #underWay = new Set<Promise<unknown>>();
  #closed = false;
  #preparing = true;

  constructor(pool: PostgresPool, timeoutMs: number) {
    this.#pool = pool;
    this.#timeoutMs = timeoutMs;
  }

  get pool(): PostgresPool {
    return this.#pool;
  }

  /** Rows of a statement, each an array. What is run this way must bear being run again. */
  query<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
    return this.run(async (client) => {
      const { rows } = await client.query({ text, values, rowMode: 'array' });
      return rows as Row[];
    });
  }

  /** The same for a statement that comes again and again: the server keeps it, where it keeps statements. */
  call<Row>(text: string, values: unknown[]): Promise<Row[]> {
    return this.run(async (client) => {
      const name = this.#preparing ? `holdfast_${hash(text, 0).toString(36)}` : undefined;
      try {
        const { rows } = await client.query({ text, values, rowMode: 'array', ...(name && { name }) });
        return rows as Row[];
      } catch (error) {
        if (!name || !LOST_STATEMENT.includes(codeOf(error))) throw error;
        // Behind a pool of transactions each call may meet another connection. Nothing was run.
        this.#preparing = false;
        const { rows } = await client.query({ text, values, rowMode: 'array' });
        return rows as Row[];
      }
    });
  }

  /**
   * Runs a body on a connection, again on another one where a connection is lost or the server is not there.
   * @throws StoreUnavailableError when the time is over (`details.inDoubt`: it may have been done nevertheless)
   */
  run<T>(body: (client: PostgresClient) => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new ClosedError('store'));
    const running = this.#retrying(body).finally(() => this.#underWay.delete(running));
    this.#underWay.add(running);
    return running;
  }

  /** Waits for what is under way, and takes no more. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#underWay);
  }

  async #retrying<T>(body: (client: PostgresClient) => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.#timeoutMs;
    let inDoubt = false;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#attempt(body, deadline);
      } catch (error) {
        const failure = failureOf(error);
        inDoubt ||= failure.inDoubt;
        const pause = pauseMs(attempt);
        if (!failure.again || performance.now() + pause >= deadline) throw translated(error, inDoubt);
        await sleep(pause);
      }
    }
  }

  async #attempt<T>(body: (client: PostgresClient) => Promise<T>, deadline: number): Promise<T> {
    const client = await connected(this.#pool, deadline);
    // A connection that is lost says so by itself as well, and to nobody else while we have it.
    client.on('error', ignoreError);
    let good = false;
    try {
      const result = await inTime(body(client), deadline, true);
      good = true;
      return result;
    } catch (error) {
      // After an error of a statement the connection is as good as before.
      good = !(error instanceof StoreUnavailableError) && !failureOf(error).again;
      throw error;
    } finally {
      if (good) client.removeListener('error', ignoreError);
      client.release(!good);
    }
  }
}

/** A connection of the pool; one that comes too late goes back. */
async function connected(pool: PostgresPool, deadline: number): Promise<PostgresClient> {
  const connecting = pool.connect();
  try {
    return await inTime(connecting, deadline, false);
  } catch (error) {
    connecting.then(
      (client) => client.release(),
      () => {},
    );
    throw error;
  }
}

/** @throws StoreUnavailableError when the deadline passes first */
async function inTime<T>(promise: Promise<T>, deadline: number, inDoubt: boolean): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const details = inDoubt ? { details: { inDoubt } } : {};
      reject(new StoreUnavailableError('the server did not answer in time', details));
    }, deadline - performance.now());
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    promise.catch(() => {});
  }
}

/** Longer from attempt to attempt, and never the same for two who lost the server at once. */
function pauseMs(attempt: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS) * (0.5 + Math.random());
}
