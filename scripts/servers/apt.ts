/** Debian's and Ubuntu's package manager. */
import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

/** How long another process may hold apt's locks. */
const LOCK_SECONDS = 120;

const run = promisify(execFile);
/** In the run level of repairs, packages start no service of their own after they are installed. */
const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1', LC_ALL: 'C' };

let last: Promise<unknown> = Promise.resolve();

/** Installs a package, one at a time. @throws Error that says why not */
export function aptInstall(name: string): Promise<void> {
  const mine = last.then(() => install(name));
  last = mine.catch(() => {});
  return mine;
}

async function install(name: string): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('only root may install it with apt-get');
  // What a machine has no list of, it has not looked for yet.
  const updated = globSync('/var/lib/apt/lists/*_Packages*').length === 0;
  if (updated) await aptGet('update');
  if (!(await hasCandidate(name))) throw new Error('apt-get has no package of this name');
  console.error(`installing ${name} with apt-get`);
  const go = () => aptGet('install', '-y', '--no-install-recommends', name);
  try {
    await go();
  } catch (error) {
    if (updated) throw error;
    // Lists that are too old name files that are gone.
    await aptGet('update');
    await go();
  }
}

async function hasCandidate(name: string): Promise<boolean> {
  const { stdout } = await run('apt-cache', ['policy', name], { env }).catch(() => {
    throw new Error('there is no apt-get to install it with');
  });
  return /Candidate: (?!\(none\))/.test(stdout);
}

async function aptGet(...args: string[]): Promise<void> {
  const deadline = Date.now() + LOCK_SECONDS * 1000;
  for (;;) {
    try {
      await run('apt-get', ['-q', '-o', `DPkg::Lock::Timeout=${LOCK_SECONDS}`, ...args], { env });
      return;
    } catch (error) {
      const said = (error as { stderr?: string }).stderr ?? String(error);
      // The option waits for the lock of the packages, not for that of the lists.
      if (!said.includes('Could not get lock') || Date.now() > deadline) {
        throw new Error(`apt-get ${args[0]}: ${said.trim().split('\n').at(-1)}`, { cause: error });
      }
      await delay(500);
    }
  }
}
