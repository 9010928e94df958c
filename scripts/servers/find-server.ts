import { accessSync, constants, globSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The servers that tests, drills and benches run on. */
export type ServerKind = 'redis' | 'valkey' | 'postgres';

/** A server that can't be had here; the message says why. */
export class ServerMissingError extends Error {
  override readonly name = 'ServerMissingError';
}

/** The program of each. */
const programs: Readonly<Record<ServerKind, string>> = {
  redis: 'redis-server',
  valkey: 'valkey-server',
  postgres: 'postgres',
};

/** Where systems put servers that are not on everybody's PATH. */
const folders = ['/usr/local/bin', '/usr/bin', '/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin'];

/** Finds a server's program. @throws ServerMissingError */
export async function findServer(kind: ServerKind): Promise<string> {
  const found = installed(kind);
  if (!found) throw new ServerMissingError(`${programs[kind]} is not installed`);
  return found;
}

/** Debian keeps each version of Postgres in a folder of its own; the newest comes first. */
function installed(kind: ServerKind): string | undefined {
  const versions = globSync('/usr/lib/postgresql/*/bin').sort((a, b) => majorOf(b) - majorOf(a));
  const path = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  const places = kind === 'postgres' ? [...versions, ...path, ...folders] : [...path, ...folders];
  return places.map((place) => join(place, programs[kind])).find(isProgram);
}

function majorOf(folder: string): number {
  return Number(folder.split('/').at(-2));
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
