import { setTimeout as sleep } from 'node:timers/promises';
import { ClosedError, StoreUnavailableError } from '../../core/errors.ts';
import { Breaker } from '../shared/breaker.ts';
import { codeOf, failureOf, translated } from './failures.ts';
import { hash } from './hash.ts';
import { BEGIN, ignoreError, type PostgresClient, type PostgresPool, type PostgresQuery } from './pool.ts';
import { OTHER_ISOLATION } from './schema.ts';

const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 500;
/** How long the server may take to answer when it is only asked whether it is there. */
const PROBE_MS = 1000;
/** A prepared statement that is not there, or is there already. */
const LOST_STATEMENT = ['26000', '42P05'];

/**
 * Calls to the server: each as often as it takes, and no longer than the time limit. After one that the server was not
 * there for, the next ones fail at once until it is back.
 */
export class Database {
  readonly #pool: PostgresPool;
  readonly #timeoutMs: number;
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #breaker = new Breaker(() => this.#probe());
  #closed = false;
  #preparing = true;
  /** Statements that need a transaction of their own kind, where the server's default is another. */
  readonly #isolated = new Set<string>();
  #suspecting = false;

  constructor(pool: PostgresPool, timeoutMs: number) {
    this.#pool = pool;
    this.#timeoutMs = timeoutMs;
  }

  get pool(): PostgresPool {
    return this.#pool;
  }

  /** When a call has to be through that begins now, with all that it asks of the server. */
  deadline(): number {
    return performance.now() + this.#timeoutMs;
  }

  /** Rows of a statement, each an array. What is run this way must bear being run again. */
  query<Row>(text: string, values: unknown[] = []): Promise<Row[]> {
    return this.run(async (client) => {
      const { rows } = await client.query({ text, values, rowMode: 'array' });
      return rows as Row[];
    });
  }

  /** The same for a statement that comes again and again: the server keeps it, where it keeps statements. */
  call<Row>(text: string, values: unknown[], deadline = this.deadline()): Promise<Row[]> {
    return this.run(async (client) => {
      for (;;) {
        const name = this.#preparing ? `holdfast_${hash(text, 0).toString(36)}` : undefined;
        const alone = this.#isolated.has(text);
        const query: PostgresQuery = { text, values, rowMode: 'array', ...(name && { name }) };
        try {
          const { rows } = await (alone ? isolated(client, query) : client.query(query));
          return rows as Row[];
        } catch (error) {
          // Either way, nothing was run.
          const code = codeOf(error);
          if (code === OTHER_ISOLATION && !alone) this.#isolated.add(text);
          // Behind a pool of transactions each call may meet another connection.
          else if (name && LOST_STATEMENT.includes(code)) this.#preparing = false;
          else throw error;
        }
      }
    }, deadline);
  }

  /**
   * Runs a body on a connection, again on another one where a connection is lost or the server is not there.
   * @throws StoreUnavailableError when the time is over (`details.inDoubt`: it may have been done nevertheless), or at
   * once while the server is known to be away
   */
  async run<T>(body: (client: PostgresClient) => Promise<T>, deadline = this.deadline()): Promise<T> {
    if (this.#closed) throw new ClosedError('store');
    this.#breaker.check();
    const running = this.#retrying(body, deadline).finally(() => this.#underWay.delete(running));
    this.#underWay.add(running);
    return running;
  }

  /** Asks the server at once whether it is there. @throws StoreUnavailableError */
  async reconnect(): Promise<void> {
    if (this.#closed) throw new ClosedError('store');
    try {
      await this.#breaker.now();
    } catch (error) {
      throw translated(error, false);
    }
  }

  /** Waits for what is under way, and takes no more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#breaker.close();
    await Promise.allSettled(this.#underWay);
  }

  async #retrying<T>(body: (client: PostgresClient) => Promise<T>, deadline: number): Promise<T> {
    let inDoubt = false;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#attempt(body, deadline);
      } catch (error) {
        const failure = failureOf(error);
        inDoubt ||= failure.inDoubt;
        const pause = pauseMs(attempt);
        if (!failure.again || performance.now() + pause >= deadline) {
          const problem = translated(error, inDoubt);
          if (failure.again || error instanceof StoreUnavailableError) this.#suspect(problem);
          throw problem;
        }
        await sleep(pause);
      }
    }
  }

  /** A statement may wait for a lock as well: the server is away when it does not even answer the least question. */
  #suspect(problem: unknown): void {
    if (this.#closed || this.#suspecting) return;
    this.#suspecting = true;
    this.#probe()
      .catch(() => this.#breaker.failed(problem))
      .finally(() => {
        this.#suspecting = false;
      });
  }

  #probe(): Promise<unknown> {
    return this.#attempt((client) => client.query({ text: 'SELECT 1' }), performance.now() + PROBE_MS);
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

/** Runs a query in a transaction in which it sees what is committed while it waits. */
async function isolated(client: PostgresClient, query: PostgresQuery): Promise<{ rows: unknown[] }> {
  await client.query({ text: BEGIN });
  try {
    const result = await client.query(query);
    await client.query({ text: 'COMMIT' });
    return result;
  } catch (error) {
    await client.query({ text: 'ROLLBACK' }).catch(() => {});
    throw error;
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
