import { redactUrl } from '../../core/redact-url.ts';
import type { Migration } from '../../open-store.ts';
import type { Cli } from '../cli.ts';
import { type Define, examples } from '../help.ts';
import { counted } from '../text.ts';

interface Options {
  dryRun?: boolean;
}

export const migrateCommand: Define = (program, run) => {
  program
    .command('migrate')
    .summary("bring a store's schema up to date")
    .description(
      'Brings the schema of a Postgres or SQLite store up to date, making it where there is none. Opening a store does ' +
        'the same: this is for those who want to see it, or do it, first. Redis and memory: have no schema.',
    )
    .option('--dry-run', 'print the SQL that would run, and change nothing')
    .addHelpText(
      'after',
      examples([
        ['holdfast migrate --store postgres://localhost/agents --dry-run', 'see the SQL'],
        ['holdfast migrate --store postgres://localhost/agents', 'before a new version is rolled out'],
      ]),
    )
    .action(run<Options>((cli, _, { dryRun = false }) => migrate(cli, dryRun)));
};

async function migrate(cli: Cli, dryRun: boolean): Promise<undefined> {
  const { config } = await cli.settings();
  const { checkStoreFile } = await import('../store-file.ts');
  checkStoreFile(config.store, { create: true });
  const { migrateStore } = await import('../../open-store.ts');
  const migration = await migrateStore(config.store, { dryRun, timeoutMs: config.timeoutMs });
  if (cli.json)
    cli.out.json({ store: redactUrl(config.store), dryRun, ...(migration ?? { statements: [] }) });
  else if (dryRun && migration && migration.statements.length > 0) print(cli, migration);
  else cli.out.line(summary(migration));
}

/** The SQL, and nothing else: it can be piped to where it is to run. */
function print(cli: Cli, { statements }: Migration): void {
  for (const statement of statements) cli.out.line(`${statement.trim()}\n`);
}

function summary(migration: Migration | undefined): string {
  if (!migration) return 'nothing to do: this store has no schema';
  const { statements, version } = migration;
  if (statements.length === 0)
    return version === undefined ? 'nothing to do' : `nothing to do: the schema is at version ${version}`;
  return `${counted(statements.length, 'migration')} run: the schema is up to date`;
}
