import { accessSync, constants, globSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { aptInstall } from './apt.ts';
import { type Program, pullImage } from './program.ts';

/** The servers that tests, drills and benches run on. */
export type ServerKind = 'redis' | 'valkey' | 'postgres' | 'pgbouncer';

/** A server that can't be had here; the message says why. */
export class ServerMissingError extends Error {
  override readonly name = 'ServerMissingError';
}

/** Each server's program, the image that has it where one does, and Debian's package. */
const sources: Readonly<Record<ServerKind, { program: string; image?: string; debian: string }>> = {
  redis: { program: 'redis-server', image: 'redis:8', debian: 'redis-server' },
  valkey: { program: 'valkey-server', image: 'valkey/valkey:8', debian: 'valkey-server' },
  postgres: { program: 'postgres', image: 'postgres:18', debian: 'postgresql' },
  pgbouncer: { program: 'pgbouncer', debian: 'pgbouncer' },
};

/** Where systems put servers that are not on everybody's PATH. */
const folders = ['/usr/local/bin', '/usr/bin', '/usr/sbin', '/usr/local/sbin', '/opt/homebrew/bin'];

const found = new Map<ServerKind, Promise<Program>>();

/**
 * A server's program: one that is there, or else that of a Docker image, or else one that apt-get installs. The network
 * is asked for nothing that is there, and for each server once in a process.
 * @throws ServerMissingError
 */
export function findServer(kind: ServerKind): Promise<Program> {
  let finding = found.get(kind);
  if (!finding) {
    finding = find(kind);
    found.set(kind, finding);
  }
  return finding;
}

async function find(kind: ServerKind): Promise<Program> {
  const reasons: string[] = [];
  for (const from of [onMachine, fromDocker, fromDebian, onMachine]) {
    try {
      return await from(kind);
    } catch (error) {
      reasons.push((error as Error).message);
    }
  }
  // The last look is for another run that may have installed it meanwhile.
  throw new ServerMissingError(reasons.slice(0, -1).join('; '));
}

async function onMachine(kind: ServerKind): Promise<Program> {
  const path = installed(kind);
  if (!path) throw new Error(`${sources[kind].program} is not installed`);
  return { path };
}

async function fromDocker(kind: ServerKind): Promise<Program> {
  const { image, program } = sources[kind];
  if (!image) throw new Error('no Docker image is known to have it');
  await pullImage(image);
  return { path: program, image };
}

async function fromDebian(kind: ServerKind): Promise<Program> {
  await aptInstall(sources[kind].debian);
  return onMachine(kind);
}

/** Debian keeps each version of Postgres in a folder of its own; the newest comes first. */
function installed(kind: ServerKind): string | undefined {
  const versions = globSync('/usr/lib/postgresql/*/bin').sort((a, b) => majorOf(b) - majorOf(a));
  const path = (process.env.PATH ?? '').split(delimiter).filter(Boolean);
  const places = kind === 'postgres' ? [...versions, ...path, ...folders] : [...path, ...folders];
  return places.map((place) => join(place, sources[kind].program)).find(isProgram);
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
