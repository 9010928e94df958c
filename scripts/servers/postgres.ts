import { execFile } from 'node:child_process';
import { chownSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { findServer } from './find-server.ts';
import { freePort } from './free-port.ts';
import { commandOf, type Program, type User } from './program.ts';
import { serverFolder } from './run-folder.ts';
import { Server } from './server.ts';

const run = promisify(execFile);

export interface PostgresOptions {
  /** Whether an acknowledged commit survives a power cut: true unless said otherwise. False is for tests. */
  readonly fsync?: boolean;
  /** Further settings, as in `postgresql.conf`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Starts a Postgres server with an empty database. Whoever reaches its port is let in. */
export async function startPostgres({ fsync = true, settings }: PostgresOptions = {}): Promise<Server> {
  const program = await findServer('postgres');
  const port = await freePort();
  const folder = serverFolder('postgres');
  const user = serverUser();
  if (user) chownSync(folder, user.uid, user.gid);
  await createData(program, folder, user);
  const onOff = fsync ? 'on' : 'off';
  const all = {
    listen_addresses: '127.0.0.1',
    port: `${port}`,
    unix_socket_directories: '',
    max_connections: '200',
    fsync: onOff,
    full_page_writes: onOff,
    ...settings,
  };
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  return Server.start({
    url,
    port,
    folder,
    program,
    args: [
      '-D',
      join(folder, 'data'),
      ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    user,
    answers: () => onPostgres(url, (client) => client.query('SELECT 1')),
  });
}

/** Connects to a server for as long as `use` takes. */
export async function onPostgres<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  // What goes wrong is told by the call that it goes wrong in.
  client.on('error', () => {});
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/**
 * Texts sort as English dictionaries do, where the server can: as in many a production database, and not in the order
 * of bytes. A query that forgets to ask for that order is found out.
 */
async function createData(program: Program, folder: string, user: User | undefined): Promise<void> {
  const go = async (path: string, ...args: string[]) => {
    const command = commandOf({ ...program, path }, args, folder, user);
    return run(command.file, command.args, { cwd: folder, ...command.user });
  };
  const { stdout } = await go(program.path, '--version');
  const sorting =
    Number(/\d+/.exec(stdout)?.[0]) >= 15 ? ['--locale-provider=icu', '--icu-locale=en-US'] : [];
  const plain = ['-D', join(folder, 'data'), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C'];
  // Its companions are found beside the program itself, not beside a link to it.
  const beside = program.image ? '' : dirname(realpathSync(program.path));
  await go(join(beside, 'initdb'), ...plain, '--no-sync', ...sorting);
}

/** Postgres refuses to run as root: then it runs as the user that Debian's package makes for it. */
function serverUser(): User | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  return { uid: Number(user?.[2]), gid: Number(user?.[3]) };
}
