/**
 * Where this process keeps its servers. A guard outlives the process: however that ends, on Ctrl-C and by `kill -9`
 * too, the guard stops what still runs and removes the folder.
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Each server's folder has files of these names that say what is to be stopped. */
const PID = 'pid';
const CONTAINER = 'container';

/** Reads until the process that holds the other end is gone. Two seconds are for servers to close their files. */
const guard = `
cat > /dev/null
pids=$(cat "$1"/*/${PID} 2> /dev/null)
if [ -n "$pids" ]; then
  kill -INT $pids 2> /dev/null
  sleep 2
  kill -KILL $pids 2> /dev/null
fi
containers=$(cat "$1"/*/${CONTAINER} 2> /dev/null)
if [ -n "$containers" ]; then docker rm --force $containers; fi
rm -rf "$1"
`;

let root: string | undefined;
let count = 0;

/** A fresh folder for one server. */
export function serverFolder(name: string): string {
  root ??= guardedFolder();
  count += 1;
  const folder = join(root, `${name}-${count}`);
  mkdirSync(folder);
  return folder;
}

/** Tells the guard which process and container a folder's server is; neither where it does not run. */
export function noteCommand(folder: string, pid?: number, container?: string): void {
  note(join(folder, PID), pid);
  note(join(folder, CONTAINER), container);
}

function note(file: string, what: number | string | undefined): void {
  if (what === undefined) rmSync(file, { force: true });
  else writeFileSync(file, `${what}\n`);
}

function guardedFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-servers-'));
  // Postgres runs as another user, who has to get through.
  chmodSync(folder, 0o711);
  const child = spawn('/bin/sh', ['-c', guard, 'guard', folder], {
    // A session of its own: Ctrl-C in the terminal is not for the guard.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.unref();
  if (child.stdin instanceof Socket) child.stdin.unref();
  return folder;
}
