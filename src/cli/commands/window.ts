import { Option } from 'commander';
import { ConfigError } from '../../core/errors.ts';
import type { MessageFormat } from '../../core/messages/formats/format.ts';
import type { BuildWindow } from '../../core/window/window.ts';
import type { Cli } from '../cli.ts';
import { type Define, examples, wholeNumber } from '../help.ts';
import { renderMessage } from '../render-message.ts';
import { count } from '../text.ts';

interface Options {
  maxTokens?: number;
  query?: string;
  replyTokens?: number;
  model?: string;
  atSeq?: number;
  channel?: string;
  as?: MessageFormat;
  recall: boolean;
  explain?: boolean;
}

export const windowCommand: Define = (program, run) => {
  program
    .command('window')
    .argument('<id>', "the session's id")
    .summary('build the context that fits a token budget')
    .description(
      'Builds what a model would be given for its next call: the best of a session that fits a token budget.',
    )
    .option(
      '--max-tokens <n>',
      'what the model takes in all (default: as the setting maxTokens says)',
      wholeNumber,
    )
    .option('--query <text>', "recall what was said about this (default: the user's last turn)")
    .option('--no-recall', 'all of the budget for the newest messages')
    .option('--reply-tokens <n>', 'keep so many free for the reply', wholeNumber)
    .option('--model <name>', 'whose tokenizer counts (default: o200k_base)')
    .option('--at-seq <n>', 'the window as it was when the conversation ended there', wholeNumber)
    .option('--channel <id>', 'of a channel in place of the conversation')
    .addOption(
      new Option('--as <format>', 'print the messages as JSON of this format').choices(['openai', 'ai-sdk']),
    )
    .option('--explain', 'show what is in and why, and what was left out and why')
    .addHelpText(
      'after',
      examples([
        ['holdfast window ticket-1 --max-tokens 4000', 'what a model would read'],
        ['holdfast window ticket-1 --max-tokens 4000 --explain', 'and why just that'],
        ['holdfast window ticket-1 --max-tokens 4000 --query "refund"', 'with what was said of it long ago'],
        ['holdfast window ticket-1 --max-tokens 4000 --as openai', 'messages, ready to send'],
      ]),
    )
    .action(
      run<Options>(async (cli, [id], { as, explain, ...options }) => {
        if (options.maxTokens === undefined) await checkUsualSize(cli);
        return cli.withEngine(async ({ engine }) => {
          const request: BuildWindow = options;
          if (as !== undefined) {
            const window = await engine.window.build(id!, { ...request, as });
            cli.out.json(cli.json ? window : window.messages);
            return undefined;
          }
          const window = await engine.window.build(id!, request);
          if (cli.json) {
            cli.out.json(window);
          } else if (explain) {
            const { explainWindow } = await import('../explain-window.ts');
            const { readRecalled } = await import('../recalled-texts.ts');
            const { channel } = options;
            const recalled = await readRecalled(
              engine,
              id!,
              window,
              channel === undefined ? {} : { channel },
            );
            for (const line of explainWindow(cli.out, window, recalled)) cli.out.line(line);
          } else {
            for (const message of window.messages) cli.out.line(renderMessage(cli.out, message));
            const { tokens, budget } = window;
            const spent = `${count(tokens)} of ${count(budget.messages)} tokens`;
            cli.err.line(cli.err.style('dim', `${spent}; --explain says why`));
          }
          return undefined;
        });
      }),
    );
};

/** @throws ConfigError where no setting says how much a window may hold */
async function checkUsualSize(cli: Cli): Promise<void> {
  const { config } = await cli.settings();
  if (config.maxTokens > 0) return;
  throw new ConfigError(
    [{ path: '--max-tokens', message: 'is missing, and the setting maxTokens says nothing' }],
    {
      hint: 'Say what the model takes in all, as in --max-tokens 4000, or set HOLDFAST_MAX_TOKENS.',
    },
  );
}
