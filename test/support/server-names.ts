/** The servers that tests run on, as the tests name them. */
import type { ServerKind } from '../../scripts/servers/find-server.ts';

export type ServerName = Exclude<ServerKind, 'pgbouncer'> | 'redis-cluster' | 'pgvector';

/** Where a test finds a server, or why there is none; a server that does not start is an error, no reason to skip. */
export type ServerAnswer =
  | { readonly url: string }
  | { readonly missing: string }
  | { readonly error: string };

declare module 'vitest' {
  interface ProvidedContext {
    /** The URL of the run's servers: a name after it starts that server and answers with a `ServerAnswer`. */
    readonly servers: string;
  }
}
