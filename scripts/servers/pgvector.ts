/**
 * Postgres with pgvector, on machines where nobody has installed that: PGlite, which is Postgres built to run in Node,
 * behind a socket. All its connections take turns at one session, so that it is good for what one client at a time asks.
 */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ServerMissingError } from './find-server.ts';
import { freePort } from './free-port.ts';
import { onPostgres } from './postgres.ts';
import { serverFolder } from './run-folder.ts';
import { Server } from './server.ts';

/** What is installed, with npm and outside of what the project depends on: these go together. */
const PGLITE = '0.5.14';
const PACKAGES = [
  `@electric-sql/pglite@${PGLITE}`,
  '@electric-sql/pglite-pgvector@0.0.15',
  '@electric-sql/pglite-socket@0.2.17',
];
const INSTALL_MS = 120_000;
/** Goes with the next `npm ci`. */
const CACHE = join(import.meta.dirname, '../../node_modules/.cache');

const PROGRAM = `
import { PGlite } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
const db = await PGlite.create({ extensions: { vector } });
await new PGLiteSocketServer({ db, host: '127.0.0.1', port: Number(process.argv[2]), maxConnections: 50 }).start();
`;

const run = promisify(execFile);

/** Starts it with an empty database, in which pgvector may be created. */
export async function startPgvector(): Promise<Server> {
  const program = await findPgvector();
  const port = await freePort();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  return Server.start({
    url,
    port,
    folder: serverFolder('pgvector'),
    program: { path: process.execPath },
    args: [program, `${port}`],
    answers: () => onPostgres(url, (client) => client.query('SELECT 1')),
  });
}

/**
 * The file of the program, after installing what it needs where that was not done on this machine yet.
 * @throws ServerMissingError
 */
export async function findPgvector(): Promise<string> {
  const home = join(CACHE, `pglite-${PGLITE}`);
  const program = join(home, 'serve.mjs');
  if (existsSync(program)) return program;
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, 'installing-'));
  try {
    console.error('installing PGlite with npm');
    // No retries: who has no network finds out soon. Without --legacy-peer-deps, extensions come along that are not asked for.
    const how = ['--no-audit', '--no-fund', '--legacy-peer-deps', '--fetch-retries=0'];
    await run('npm', ['install', '--prefix', folder, ...how, ...PACKAGES], {
      timeout: INSTALL_MS,
      cwd: folder,
    });
    writeFileSync(join(folder, 'serve.mjs'), PROGRAM);
    mkdirSync(home, { recursive: true });
    // Over an empty folder only: another run may have been first.
    renameSync(folder, home);
  } catch (error) {
    if (!existsSync(program)) throw new ServerMissingError(`npm does not install PGlite: ${reason(error)}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return program;
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message.split('\n')[0]! : String(error);
}
