/** The packages that benches compare with: in `bench/package.json`, installed when first asked for. */
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const home = join(import.meta.dirname, '..');

export interface Peer<T> {
  readonly module: T;
  readonly packageName: string;
  readonly version: string;
}

/** Imports a peer, `@langchain/core/messages` for one, after installing all peers where that was not done yet. */
export async function importPeer<T>(specifier: string): Promise<Peer<T>> {
  const packageName = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  const { dependencies } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'));
  const version = dependencies[packageName];
  if (!version) throw new RangeError(`${packageName} is not a dependency of bench/package.json`);
  install();
  return { module: (await import(specifier)) as T, packageName, version };
}

function install(): void {
  // npm writes the hidden lockfile last: older than ours, or not there, means that an install is due.
  const installed = modified('node_modules/.package-lock.json');
  if (installed >= modified('package-lock.json')) return;
  console.error('Installing the peers that benches compare with (bench/package.json) …');
  const npm = spawnSync('npm', ['ci', '--loglevel=error', '--no-audit', '--no-fund'], {
    cwd: home,
    stdio: ['ignore', process.stderr, process.stderr],
  });
  if (npm.status !== 0) throw new Error('npm ci in bench/ failed: see above');
}

function modified(path: string): number {
  return statSync(join(home, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
