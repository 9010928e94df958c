import type Driver from 'pg';
import { ConfigError, MissingPackageError } from '../../core/errors.ts';

/**
 * What the store needs of a pool: `pg.Pool` has it, and pools that are made like it. Parameters that are buffers have
 * to go out in binary, as `pg` does it.
 */
export interface PostgresPool {
  connect(): Promise<PostgresClient>;
  end(): Promise<void>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'connect', listener: (client: PostgresClient) => void): unknown;
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
  removeListener(event: 'connect', listener: (client: PostgresClient) => void): unknown;
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
}

export interface PostgresClient {
  query(query: PostgresQuery): Promise<{ rows: unknown[] }>;
  /** Gives the connection back; closes it with `true`. */
  release(destroy?: boolean): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(
    event: 'notification',
    listener: (message: { channel: string; payload?: string | undefined }) => void,
  ): unknown;
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
}

export interface PostgresQuery {
  text: string;
  name?: string;
  values?: unknown[];
  rowMode?: 'array';
}

/** Begins a transaction in which each statement sees what was committed before it, whatever the server's default is. */
export const BEGIN = 'BEGIN ISOLATION LEVEL READ COMMITTED';

/** A connection may die at any time: the call that it dies in is told, and the next one gets another. */
export function ignoreError(): void {}

/** Makes a pool. @throws MissingPackageError, ConfigError for a URL that the driver can't read */
export async function createPool(
  url: string,
  maxConnections: number,
  timeoutMs: number,
): Promise<PostgresPool> {
  const { Pool } = await loadDriver();
  try {
    const pool = new Pool({
      connectionString: url,
      max: maxConnections,
      connectionTimeoutMillis: timeoutMs,
      idleTimeoutMillis: 30_000,
      application_name: 'holdfast',
      keepAlive: true,
      allowExitOnIdle: true,
    });
    return pool as PostgresPool;
  } catch {
    // The driver's own message may have the URL in it.
    throw new ConfigError([{ path: 'store', message: 'is no URL of a Postgres database' }]);
  }
}

async function loadDriver(): Promise<typeof Driver> {
  try {
    return (await import('pg')).default;
  } catch (error) {
    throw new MissingPackageError('pg', 'the postgres store', error);
  }
}
