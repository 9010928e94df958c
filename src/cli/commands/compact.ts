import { InvalidArgumentError, Option } from 'commander';
import {
  type Compaction,
  type RefusalReason,
  type Strategy,
  strategies,
} from '../../core/model/compaction.ts';
import { nearest } from '../../core/suggest.ts';
import { exitCodes } from '../failure.ts';
import { type Define, examples, wholeNumber } from '../help.ts';
import type { Output } from '../output.ts';
import { count, safe, table, when } from '../text.ts';

interface Options {
  strategy?: Strategy[];
  targetTokens?: number;
  model?: string;
  channel?: string;
  undo?: string | true;
}

interface Listing {
  limit: number;
  before?: string;
  channel?: string;
  summaries?: boolean;
}

const refusals: Record<RefusalReason, string> = {
  'nothing-to-compact': 'nothing to do: it is short enough, or all of it has to stay',
  'saves-too-little': 'nothing done: it would save too little',
  'under-way': 'another compaction of this session is under way',
  'changed-meanwhile': 'its messages were changed meanwhile, try again',
};

export const compactCommand: Define = (program, run) => {
  program
    .command('compact')
    .argument('<id>', "the session's id")
    .summary('make the older part of a session shorter, or take that back')
    .description(
      'Makes the older part of a session shorter: windows then begin with what stands for it. Its messages stay as ' +
        'they are, and --undo takes it back.',
    )
    .option('--strategy <names>', `one or several with commas: ${strategies.join(', ')}`, strategyList)
    .option('--target-tokens <n>', 'what a window with everything is to cost afterwards', wholeNumber)
    .option('--model <name>', 'whose tokenizer counts (default: o200k_base)')
    .option('--channel <id>', 'of a channel in place of the conversation')
    .addOption(
      new Option('--undo [compaction]', 'take back the newest, or that one and all after it').conflicts([
        'strategy',
        'targetTokens',
        'model',
      ]),
    )
    .addHelpText(
      'after',
      examples([
        ['holdfast compact ticket-1', 'down to about half'],
        ['holdfast compact ticket-1 --target-tokens 2000', 'so short'],
        ['holdfast compact ticket-1 --strategy dedup,truncate', 'in another way'],
        ['holdfast compact ticket-1 --undo', 'as it was before'],
      ]),
    )
    .action(
      run<Options>((cli, [id], { undo, channel, ...options }) =>
        cli.withEngine(async ({ engine }) => {
          const where = channel === undefined ? {} : { channel };
          if (undo !== undefined) {
            const undone = await engine.window.undo(id!, undo === true ? undefined : undo, where);
            if (cli.json) cli.out.json(undone);
            else cli.out.line(`taken back: compaction ${undone.id}, and all after it`);
            return exitCodes.ok;
          }
          const { compaction, refused } = await engine.window.compact(id!, { ...options, ...where });
          if (cli.json) cli.out.json(compaction ? { compaction } : { refused });
          else if (compaction) for (const line of made(compaction)) cli.out.line(line);
          else cli.out.line(refusals[refused.reason]);
          const failed = refused?.reason === 'under-way' || refused?.reason === 'changed-meanwhile';
          return failed ? exitCodes.failed : exitCodes.ok;
        }),
      ),
    );
};

export const compactionsCommand: Define = (program, run) => {
  program
    .command('compactions')
    .argument('<id>', "the session's id")
    .summary('list the compactions of a session, newest first')
    .description('Lists the compactions of a session, newest first, with those that no longer count.')
    .option('--summaries', 'and what stands in windows for the messages')
    .option('--limit <n>', 'how many, 1 to 1000', wholeNumber, 50)
    .option('--before <compaction>', 'the page after: those before this one')
    .option('--channel <id>', 'of a channel in place of the conversation')
    .addHelpText(
      'after',
      examples([
        ['holdfast compactions ticket-1', 'what was made shorter, when and how'],
        ['holdfast compactions ticket-1 --limit 1 --summaries', 'and what the newest says'],
      ]),
    )
    .action(
      run<Listing>((cli, [id], { summaries, ...options }) =>
        cli.withEngine(async ({ engine }) => {
          const compactions = await engine.window.compactions(id!, options);
          if (cli.json) cli.out.json({ compactions });
          else if (compactions.length === 0) cli.out.line('No compactions.');
          else if (summaries) for (const one of compactions) printWhole(cli.out, one);
          else printTable(cli.out, compactions);
          return undefined;
        }),
      ),
    );
};

function made(compaction: Compaction): string[] {
  const { id, strategy, fallback } = compaction;
  return [
    `compaction ${id}: ${messagesOf(compaction)}, ${tokensOf(compaction)} tokens (${strategy})`,
    ...(fallback === undefined ? [] : [`not as asked: ${fallback}`]),
  ];
}

function printTable(out: Output, compactions: readonly Compaction[]): void {
  const columns = [
    { head: 'ID', right: true },
    { head: 'CREATED' },
    { head: 'MESSAGES' },
    { head: 'TOKENS', right: true },
    { head: 'STRATEGY' },
    { head: 'STATE' },
  ];
  const rows = compactions.map((one) => [
    one.id,
    when(one.createdAt),
    `${one.fromSeq} to ${one.uptoSeq}`,
    tokensOf(one),
    one.strategy,
    stateOf(one),
  ]);
  const [head, ...lines] = table(columns, rows);
  out.line(out.style('bold', head!));
  for (const line of lines) out.line(line);
}

function printWhole(out: Output, compaction: Compaction): void {
  const { id, createdAt, strategy, summary } = compaction;
  const facts = [
    when(createdAt),
    messagesOf(compaction),
    `${tokensOf(compaction)} tokens`,
    strategy,
    stateOf(compaction),
  ].filter((fact) => fact !== '');
  out.line(`${out.style('bold', `#${id}`)}  ${out.style('dim', facts.join(' · '))}`);
  const text = summary === undefined ? '(no summary)' : safe(summary);
  out.line(`${text.replace(/^(?=.)/gm, '  ')}\n`);
}

function messagesOf({ fromSeq, uptoSeq }: Compaction): string {
  return `messages ${fromSeq} to ${uptoSeq}`;
}

function tokensOf({ tokensBefore, tokensAfter }: Compaction): string {
  return `${count(tokensBefore)} → ${count(tokensAfter)}`;
}

function stateOf({ undone, fallback }: Compaction): string {
  if (undone) return undone.reason === 'undone' ? 'taken back' : 'ended: its messages were changed';
  return fallback ?? '';
}

function strategyList(text: string): Strategy[] {
  return text.split(',').map((item) => {
    const name = item.trim();
    if ((strategies as readonly string[]).includes(name)) return name as Strategy;
    const near = nearest(name, strategies);
    throw new InvalidArgumentError(near ? `Did you mean ${near}?` : `Known are ${strategies.join(', ')}.`);
  });
}
