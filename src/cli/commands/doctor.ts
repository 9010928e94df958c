import type { Check } from '../checks.ts';
import type { Cli } from '../cli.ts';
import type { Diagnosis } from '../diagnose.ts';
import { exitCodes } from '../failure.ts';
import { type Define, examples } from '../help.ts';
import type { Output } from '../output.ts';
import { OutputFile } from '../output-file.ts';
import { reportLines } from '../report-text.ts';
import { table } from '../text.ts';

interface Options {
  full?: boolean;
  output?: string;
}

export const doctorCommand: Define = (program, run) => {
  program
    .command('doctor')
    .summary('check settings, store and versions')
    .description(
      'Checks what Holdfast needs: the settings and where each came from, the store, its folder, the versions. ' +
        'Nothing is changed, and no store is made; only a keyspace of Redis gets its name. Exits with 1 when something ' +
        'is wrong.',
    )
    .addHelpText(
      'after',
      examples([
        ['holdfast doctor', 'is all well?'],
        ['holdfast doctor --store file:/data/agent.db', 'is that store?'],
        ['holdfast doctor --json | jq .checks', 'for scripts'],
        ['holdfast doctor --full --output report.json', 'for whoever has to help'],
      ]),
    )
    .option('--full', 'report all that is known: health, versions, what there is, who is behind; no secrets')
    .option('--output <file>', 'write the report to a file, as JSON')
    .action(
      run<Options>(async (cli, _args, { full, output }) => {
        const { diagnose } = await import('../diagnose.ts');
        const diagnosis = await diagnose(cli, { full: full ?? false });
        if (output !== undefined) await save(cli, output, diagnosis);
        else if (cli.json) cli.out.json(diagnosis);
        else print(cli, diagnosis);
        return diagnosis.ok ? exitCodes.ok : exitCodes.failed;
      }),
    );
};

async function save(cli: Cli, path: string, diagnosis: Diagnosis): Promise<void> {
  const file = await OutputFile.open(path);
  await file.write(`${JSON.stringify(diagnosis, null, 2)}\n`);
  await file.finish();
  if (cli.json) cli.out.json({ ok: diagnosis.ok, output: path });
  else cli.out.line(`${path} has the report. ${diagnosis.ok ? 'All is well.' : 'Something is wrong.'}`);
}

function print({ out }: Cli, { versions, settings, aliases, checks, ok, report }: Diagnosis): void {
  const told = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  out.line(told.join(' · '));
  if (settings) {
    out.line();
    for (const line of settingLines(out, settings)) out.line(line);
  }
  if (aliases) {
    out.line();
    for (const line of aliasLines(out, aliases)) out.line(line);
  }
  if (report) for (const line of reportLines(out, report)) out.line(line);
  out.line();
  for (const line of checks.flatMap((check) => checkLines(out, check))) out.line(line);
  out.line();
  const warned = checks.some(({ warning }) => warning);
  const well = warned
    ? out.style('yellow', 'It works, but see the warnings.')
    : out.style('green', 'All is well.');
  out.line(ok ? well : out.style('red', 'Something is wrong.'));
}

function settingLines(out: Output, settings: NonNullable<Diagnosis['settings']>): string[] {
  const columns = [{ head: 'SETTING' }, { head: 'VALUE' }, { head: 'FROM' }];
  const rows = Object.entries(settings).map(([name, { value, source }]) => [
    name,
    String(value),
    source.from === 'default' ? out.style('dim', 'default') : `${source.from} ${source.name}`,
  ]);
  const [head = '', ...lines] = table(columns, rows);
  return [out.style('bold', head), ...lines];
}

function aliasLines(out: Output, aliases: NonNullable<Diagnosis['aliases']>): string[] {
  const rows = aliases.map(({ variable, message }) => [variable, message]);
  const [head = '', ...lines] = table([{ head: 'VARIABLE' }, { head: 'HERE' }], rows);
  return [out.style('bold', head), ...lines];
}

function checkLines(out: Output, { name, ok, warning, message, hint }: Check): string[] {
  const mark = warning ? out.style('yellow', '!') : ok ? out.style('green', '✓') : out.style('red', '✗');
  return [`${mark} ${name.padEnd(8)}  ${message}`, ...(hint ? [`${' '.repeat(12)}${hint}`] : [])];
}
