import { accessSync, constants, globSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { aptInstall } from './apt.ts';

/** The servers that tests, drills and benches run on. */
export type ServerKind = 'redis' | 'valkey' | 'postgres';

/** A server that can't be had here; the message says why. */
export class ServerMissingError extends Error {
  override readonly name = 'ServerMissingError';
}

/** The program of each, and Debian's package for it. */
const programs: Readonly<Record<ServerKind, { program: string; package: string }>> = {
  redis: { program: 'redis-server', package: 'redis-server' },
  valkey: { program: 'valkey-server', package: 'valkey-server' },
  postgres: { program: 'postgres', package: 'postgresql' },
};

/** Where systems put servers that are not on everybody's PATH. */
const folders = ['/usr/local/bin', '/usr/bin', '/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin'];

const found = new Map<ServerKind, Promise<string>>();

/**
 * The path of a server's program: one that is there, or else one that apt-get installs. The network is asked for
 * nothing that is there, and for each server once in a process.
 * @throws ServerMissingError
 */
export function findServer(kind: ServerKind): Promise<string> {
  let finding = found.get(kind);
  if (!finding) {
    finding = find(kind);
    found.set(kind, finding);
  }
  return finding;
}

async function find(kind: ServerKind): Promise<string> {
  const present = installed(kind);
  if (present) return present;
  const { program, package: name } = programs[kind];
  const reason = await aptInstall(name).then(
    () => `the package ${name} does not have it`,
    (error: Error) => error.message,
  );
  // Another run may have installed it while this one failed to.
  const now = installed(kind);
  if (!now) throw new ServerMissingError(`${program} is not installed, and ${reason}`);
  return now;
}

/** Debian keeps each version of Postgres in a folder of its own; the newest comes first. */
function installed(kind: ServerKind): string | undefined {
  const versions = globSync('/usr/lib/postgresql/*/bin').sort((a, b) => majorOf(b) - majorOf(a));
  const path = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  const places = kind === 'postgres' ? [...versions, ...path, ...folders] : [...path, ...folders];
  return places.map((place) => join(place, programs[kind].program)).find(isProgram);
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
