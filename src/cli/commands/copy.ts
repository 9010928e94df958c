import type { CopyProgress, CopyResult } from '../../core/copy/copy.ts';
import type { Mismatch } from '../../core/copy/verify.ts';
import type { Store } from '../../core/store.ts';
import type { Cli } from '../cli.ts';
import { exitCodes } from '../failure.ts';
import { type Define, examples } from '../help.ts';
import { Progress } from '../progress.ts';
import { count, counted, safeLine, seconds, size } from '../text.ts';

interface Options {
  verify?: boolean;
}

/** So many differences are told to people; `--json` has them all. */
const MAX_MISMATCHES = 20;

export const copyCommand: Define = (program, run) => {
  program
    .command('copy')
    .argument('<from>', 'the URL of the store to copy')
    .argument('<to>', 'the URL of an empty store, or of one that an earlier run has begun')
    .summary('copy a whole store into another one')
    .description(
      'Copies everything of one store into another: all tenants, every version and seq as it is. What is written ' +
        'to the source meanwhile is copied as well: stop what writes to it, and the copy ends a moment later.\n\n' +
        'A copy that was cut short goes on where it stopped when it is run again; nothing is doubled. Ctrl-C ends it ' +
        'that way. A target that holds anything else is left untouched.',
    )
    .option('--verify', 'read everything back from both and compare; exits with 1 when something differs')
    .addHelpText(
      'after',
      examples([
        ['holdfast copy file:./agent.db postgres://localhost/agents', 'move to a server'],
        ['holdfast copy redis://localhost file:./backup.db --verify', 'a backup, checked'],
      ]),
    )
    .action(
      run<Options>((cli, [from, to], { verify = false }) => copy(cli, { from: from!, to: to!, verify })),
    );
};

async function copy(
  cli: Cli,
  { from, to, verify }: { from: string; to: string; verify: boolean },
): Promise<number> {
  const stopping = new AbortController();
  // Once only: a second Ctrl-C ends the process as usual.
  const stop = () => stopping.abort();
  process.once('SIGINT', stop);
  const progress = new Progress(cli.err, cli.json);
  const startedAt = performance.now();
  try {
    const result = await withStores(cli, from, to, async (source, target) => {
      const { copyStore } = await import('../../core/copy/copy.ts');
      const onProgress = (now: CopyProgress) => progress.show(shareOf(now), textOf(now));
      return copyStore(source, target, { verify, onProgress, signal: stopping.signal });
    });
    progress.clear();
    return report(cli, result, (performance.now() - startedAt) / 1000);
  } catch (error) {
    progress.clear();
    if (!stopping.signal.aborted || error !== stopping.signal.reason) throw error;
    if (cli.json) cli.out.json({ interrupted: true });
    else cli.err.line('holdfast: interrupted; the same command goes on from here');
    return exitCodes.interrupted;
  } finally {
    process.off('SIGINT', stop);
  }
}

/** Opens both, and closes both, whatever comes of it. */
async function withStores<T>(
  cli: Cli,
  from: string,
  to: string,
  work: (from: Store, to: Store) => Promise<T>,
): Promise<T> {
  const { checkStoreUrl, openStore } = await import('../../open-store.ts');
  const { checkStoreFile } = await import('../store-file.ts');
  checkStoreUrl(from, 'from');
  checkStoreUrl(to, 'to');
  const { durability, lockTimeoutMs, timeoutMs } = (await cli.settings()).config;
  checkStoreFile(from);
  checkStoreFile(to, { create: true });
  const source = await openStore(from, { lockTimeoutMs, timeoutMs });
  try {
    const target = await openStore(to, { durability, lockTimeoutMs, timeoutMs });
    try {
      return await work(source, target);
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

function shareOf({ phase, partitions, totalPartitions }: CopyProgress): number {
  return phase === 'following' ? 1 : partitions / Math.max(1, totalPartitions);
}

function textOf({ phase, partitions, entries, bytes }: CopyProgress): string {
  return `${phase}: ${counted(partitions, 'partition')}, ${entriesText(entries)}, ${size(bytes)}`;
}

function report(cli: Cli, result: CopyResult, took: number): number {
  const exitCode = result.mismatches.length > 0 ? exitCodes.failed : exitCodes.ok;
  if (cli.json) {
    cli.out.json({ ...result, seconds: Math.round(took * 1000) / 1000 });
    return exitCode;
  }
  const { partitions, records, entries, bytes, followed, verified, mismatches } = result;
  const { out, err } = cli;
  const total = `${counted(partitions, 'partition')}, ${counted(records, 'record')}, ${entriesText(entries)}`;
  out.line(`${out.style('bold', total)} (${size(bytes)}) in ${seconds(took)}`);
  if (followed > 0) out.line(`${counted(followed, 'commit')} meanwhile, followed`);
  if (verified && mismatches.length === 0) out.line(out.style('green', 'verified: nothing differs'));
  for (const mismatch of mismatches.slice(0, MAX_MISMATCHES))
    err.line(`${err.style('red', 'holdfast:')} ${difference(mismatch)}`);
  const more = mismatches.length - MAX_MISMATCHES;
  if (more > 0) err.line(`  and ${counted(more, 'more difference')}; --json lists them all`);
  return exitCode;
}

function difference({ partition, source, target }: Mismatch): string {
  if (!partition) return 'times of expiry differ';
  const { tenant, type, id } = partition;
  const held = ({ records, entries }: Mismatch['source']) =>
    `${counted(records, 'record')} and ${entriesText(entries)}`;
  return `${safeLine(`${tenant}: ${type} ${id}`)} differs: ${held(source)} there, ${held(target)} here`;
}

function entriesText(entries: number): string {
  return `${count(entries)} ${entries === 1 ? 'entry' : 'entries'}`;
}
