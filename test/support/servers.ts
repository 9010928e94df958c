/** Places on real servers. Each server is started once a run, when the first test asks for it. */
import { randomUUID } from 'node:crypto';
import { describe, inject, it, type TestContext } from 'vitest';
import { onPostgres } from '../../scripts/servers/postgres.ts';
import { onRedis } from '../../scripts/servers/redis.ts';
import type { TestRunner } from '../../src/testing/index.ts';
import type { ServerAnswer, ServerName } from './server-names.ts';

/** The URL of a server. Skips the test that asks where the server can't be had, and says why. */
export async function serverUrl(name: ServerName, context: TestContext): Promise<string> {
  const answer = await ask(name);
  if ('missing' in answer) return context.skip(skipReason(name, answer.missing));
  return urlIn(name, answer);
}

/** A runner whose tests are skipped where a server can't be had. */
export function needs(name: ServerName): TestRunner {
  const run = (title: string, body: () => Promise<void>) =>
    it(title, async (context) => {
      await serverUrl(name, context);
      await body();
    });
  return { describe, it: Object.assign(run, { skip: it.skip }) };
}

/** For `storeConformance`: each place is a URL with a key prefix or schema that nobody else has. */
export function placesOn(name: ServerName) {
  return {
    createLocation: () => createPlace(name),
    removeLocation: (url: string) => removePlace(url),
  };
}

/** A URL of a place on a server where no store has been yet. */
export async function createPlace(name: ServerName): Promise<string> {
  const id = randomUUID().slice(0, 8);
  const url = urlIn(name, await ask(name));
  return url.startsWith('postgres:') ? `${url}?schema=t_${id}` : `${url}?prefix=t-${id}`;
}

/** Removes all that stores have left at such a place. */
export async function removePlace(url: string): Promise<void> {
  const { protocol, searchParams } = new URL(url.replace(/,[^?]*/, ''));
  if (protocol === 'postgres:') {
    const drop = `DROP SCHEMA IF EXISTS "${searchParams.get('schema')}" CASCADE`;
    await onPostgres(url.replace(/\?.*/, ''), (client) => client.query(drop));
    return;
  }
  const ports = [...url.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port));
  await Promise.all(ports.map((port) => removeKeys(port, `${searchParams.get('prefix')}*`)));
}

async function removeKeys(port: number, pattern: string): Promise<void> {
  await onRedis(port, async (client) => {
    for await (const keys of client.scanIterator({ MATCH: pattern, COUNT: 1000 })) {
      // One by one: in a cluster, keys of different slots don't go into one command.
      await Promise.all(keys.map((key) => client.unlink(key)));
    }
  });
}

async function ask(name: ServerName): Promise<ServerAnswer> {
  const response = await fetch(inject('servers') + name);
  return (await response.json()) as ServerAnswer;
}

function urlIn(name: ServerName, answer: ServerAnswer): string {
  if ('url' in answer) return answer.url;
  throw new Error(`${name}: ${'missing' in answer ? answer.missing : answer.error}`);
}

/**
 * Where CI=true, all servers have to be there, and a reason that starts with `needs` is a failure. Valkey and pgvector
 * are exceptions: many distributions don't have them. Redis speaks for the one then, and Postgres for most of the other.
 */
function skipReason(name: ServerName, missing: string): string {
  const exempt = name === 'valkey' ? 'Valkey' : name === 'pgvector' ? 'pgvector' : undefined;
  return exempt ? `${exempt} is not to be had here: ${missing}` : `needs ${name}: ${missing}`;
}
