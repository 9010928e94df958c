import type { Channel } from '../../core/channels/channels.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Message } from '../../core/model/message.ts';
import type { Session } from '../../core/model/session.ts';
import { type Define, examples, wholeNumber } from '../help.ts';
import type { Output } from '../output.ts';
import { renderMessage } from '../render-message.ts';
import { count, facts, safeLine, when } from '../text.ts';

interface Options {
  limit: number;
  before?: number;
  channel?: string;
}

interface Shown {
  session: Session;
  state: JsonObject;
  channels: Channel[];
  messages: Message[];
}

export const showCommand: Define = (program, run) => {
  program
    .command('show')
    .argument('<id>', "the session's id")
    .summary('show a session and its newest messages')
    .description('Shows a session: its facts, state and channels, and its newest messages.')
    .option('--limit <n>', 'how many messages, 1 to 1000', wholeNumber, 50)
    .option('--before <seq>', 'only messages before this one', wholeNumber)
    .option('--channel <id>', "a channel's messages in place of the conversation's")
    .addHelpText(
      'after',
      examples([
        ['holdfast show ticket-1', 'the newest 50 messages'],
        ['holdfast show ticket-1 --limit 20 --before 300', 'the 20 messages before number 300'],
        ['holdfast show ticket-1 --json | jq .state', 'what its agents share'],
      ]),
    )
    .action(
      run<Options>((cli, [id], { limit, before, channel }) =>
        cli.withEngine(async ({ engine }) => {
          const session = engine.session(id!);
          const facts = await session.get();
          if (channel !== undefined) await session.channels.get(channel);
          const range = {
            limit,
            ...(before !== undefined && { before }),
            ...(channel !== undefined && { channel }),
          };
          const [state, channels, messages] = await Promise.all([
            session.state.get(),
            session.channels.list(),
            session.messages.list(range),
          ]);
          const shown = { session: facts, state: state.value, channels, messages };
          if (cli.json) cli.out.json(shown);
          else print(cli.out, shown);
          return undefined;
        }),
      ),
    );
};

function print(out: Output, { session, state, channels, messages }: Shown): void {
  out.line(out.style('bold', safeLine(session.id)));
  for (const line of facts(factsOf(session, state, channels))) out.line(`  ${line}`);
  const oldest = messages[0]?.seq;
  if (oldest !== undefined && oldest > 1) {
    out.line(out.style('dim', `\n… there may be older ones: --before ${oldest}`));
  }
  for (const message of messages) out.line(`\n${renderMessage(out, message).trimEnd()}`);
}

function factsOf(session: Session, state: JsonObject, channels: Channel[]): [string, string][] {
  const { userId, status, messageCount, createdAt, lastActivityAt, metadata } = session;
  const entries: [string, string][] = [
    ['user', safeLine(userId)],
    ['status', status],
    ['messages', count(messageCount)],
    ['created', when(createdAt)],
    ['last used', when(lastActivityAt)],
  ];
  if (Object.keys(metadata).length > 0) entries.push(['metadata', safeLine(JSON.stringify(metadata))]);
  if (Object.keys(state).length > 0) entries.push(['state', safeLine(JSON.stringify(state))]);
  for (const { id, type, participants } of channels) {
    const who = participants.map((participant) => participant.id).join(', ');
    entries.push(['channel', safeLine(`${id} (${type}: ${who})`)]);
  }
  return entries;
}
