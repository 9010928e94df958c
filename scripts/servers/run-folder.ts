/**
 * Where this process keeps its servers. A guard outlives the process: however that ends, on Ctrl-C and by `kill -9`
 * too, the guard stops what still runs and removes the folder.
 */
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Each server writes down its process id in its folder, in a file of this name. */
const PID = 'pid';

/** Reads until the process that holds the other end is gone. Two seconds are for servers to close their files. */
const guard = `
cat > /dev/null
pids=$(cat "$1"/*/${PID} 2> /dev/null)
if [ -n "$pids" ]; then
  kill -INT $pids 2> /dev/null
  sleep 2
  kill -KILL $pids 2> /dev/null
fi
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

/** Tells the guard which process a folder's server is; undefined where none runs. */
export function notePid(folder: string, pid: number | undefined): void {
  if (pid === undefined) rmSync(join(folder, PID), { force: true });
  else writeFileSync(join(folder, PID), `${pid}\n`);
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
