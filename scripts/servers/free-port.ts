import { once } from 'node:events';
import { createServer } from 'node:net';

const FIRST = 10_000;
const COUNT = 10_000;
/** Processes that choose at the same moment choose among other ports: most have numbers near each other. */
const PROCESSES = 50;
/** A node of a Redis Cluster talks to the others on its port plus this. */
const BUS = 10_000;

const given = new Set<number>();

/**
 * A port of 127.0.0.1 that nobody listens on, nor on the one 10 000 above it. It is below the range that the system
 * gives to outgoing connections: while a server is down, none of those can take its port, nor a client that tries to
 * reach it get connected to itself.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port =
      FIRST + PROCESSES * Math.floor((Math.random() * COUNT) / PROCESSES) + (process.pid % PROCESSES);
    if (given.has(port)) continue;
    given.add(port);
    if ((await isFree(port)) && (await isFree(port + BUS))) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
