import { join } from 'node:path';
import { ContextEngine, type Message } from '../../src/index.ts';
import { addSession, type Conversation, readConversations, toMessage } from '../harness/conversations.ts';
import { type Trim, trimmer } from '../harness/trimmer.ts';
import type { Bench, Context, Row, Target } from '../harness/types.ts';

const BUDGETS = [4_000, 8_000];
/** What a cached token costs of the price of one that is not. */
const CACHED_PRICE = 0.1;

/** What one call sends: its messages as a provider reads them, and what they cost in tokens. */
interface Call {
  readonly sent: readonly string[];
  readonly tokens: readonly number[];
  /** Whether the user speaks last, as in most calls there are. */
  readonly byUser: boolean;
}

/** All calls of one or several conversations, summed up. */
class Bill {
  calls = 0;
  tokens = 0;
  cached = 0;

  add(calls: readonly Call[]): void {
    for (const [i, { sent, tokens }] of calls.entries()) {
      const before = calls[i - 1]?.sent ?? [];
      // A provider caches what two calls begin with, byte for byte; whole messages count.
      const differs = sent.findIndex((message, place) => message !== before[place]);
      this.calls += 1;
      this.tokens += sum(tokens);
      this.cached += sum(differs < 0 ? tokens : tokens.slice(0, differs));
    }
  }

  get share(): number {
    return this.cached / this.tokens;
  }

  /** In full-price tokens. */
  get cost(): number {
    return this.tokens - this.cached + this.cached * CACHED_PRICE;
  }
}

/** What is sent after each turn, at each budget: by windows, and by the trimmer. */
interface Way {
  readonly name: string;
  readonly target?: Target;
  play(conversation: Conversation, maxTokens: number): Promise<Call[]>;
}

function callOf(messages: readonly Message[]): Call {
  return {
    sent: messages.map(({ role, name, content }) => JSON.stringify({ role, name, content })),
    tokens: messages.map(({ tokens }) => tokens!),
    byUser: messages.at(-1)?.role === 'user',
  };
}

/** Appends turn by turn, and builds a window after each. What runs in the background has the time of a model's answer. */
function windows(
  context: Context,
  engine: ContextEngine,
  name: string,
  recall: boolean,
  target: Target,
): Way {
  return {
    name,
    target,
    async play(conversation, maxTokens) {
      const sessionId = await addSession(engine);
      const calls: Call[] = [];
      for (const [i, turn] of conversation.turns.entries()) {
        context.progress(i, conversation.turns.length, `${conversation.id}, ${maxTokens} tokens, ${name}`);
        await engine.messages.append(sessionId, toMessage(conversation, turn));
        const { messages } = await engine.window.build(sessionId, { maxTokens, recall });
        calls.push(callOf(messages));
        await engine.window.settled();
      }
      await engine.sessions.delete(sessionId);
      return calls;
    },
  };
}

/** The same turns through a window that slides: what fits of the newest. */
function sliding(context: Context, engine: ContextEngine, trim: Trim): Way {
  return {
    name: 'trimMessages',
    async play(conversation, maxTokens) {
      const sessionId = await addSession(engine);
      const history: Message[] = [];
      const calls: Call[] = [];
      for (const [i, turn] of conversation.turns.entries()) {
        context.progress(i, conversation.turns.length, `${conversation.id}, ${maxTokens} tokens, trimmer`);
        const { id } = await engine.messages.append(sessionId, toMessage(conversation, turn));
        history.push(await engine.messages.get(sessionId, id));
        calls.push(callOf(await trim(history, maxTokens)));
      }
      await engine.sessions.delete(sessionId);
      return calls;
    },
  };
}

function rowsOf(
  label: string,
  { name, target }: Pick<Way, 'name' | 'target'>,
  bill: Bill,
  peer: Bill,
): Row[] {
  const cost: Row = {
    case: `cost of a call, ${label}, ${name}`,
    value: bill.cost / bill.calls,
    unit: 'tokens',
    baseline: peer.cost / peer.calls,
  };
  const share = { case: `cached, ${label}, ${name}`, value: bill.share, unit: 'share', baseline: peer.share };
  return [
    { ...share, ...(target && { target }) },
    { ...cost, ...(target && { target: { atMost: 0.3 } }) },
    { case: `input of a call, ${label}, ${name}`, value: bill.tokens / bill.calls, unit: 'tokens' },
  ];
}

const bench: Bench = {
  name: 'cache',
  summary:
    "input that a provider's prompt cache has already, turn by turn, against LangChain's trimmer (needs --data)",

  async run(context): Promise<Row[]> {
    const data = await readConversations(context);
    const url = context.store ?? `file:${join(await context.temporaryFolder(), 'cache.db')}`;
    const engine = context.resources.use(await ContextEngine.open(url));
    const slide = sliding(context, engine, await trimmer(context));
    const ways = [
      windows(context, engine, 'without recall', false, { atLeast: 0.9, of: 'value' }),
      windows(context, engine, 'with recall', true, { atLeast: 0.8, of: 'value' }),
    ];
    const rows: Row[] = [];
    for (const maxTokens of BUDGETS) {
      const played = new Map<Way, Call[][]>();
      for (const way of [slide, ...ways]) {
        const calls: Call[][] = [];
        for (const conversation of data) calls.push(await way.play(conversation, maxTokens));
        played.set(way, calls);
      }
      const label = `${maxTokens.toLocaleString('en')} tokens`;
      const peer = billOf(played.get(slide)!);
      const peerByUser = billOf(played.get(slide)!, ({ byUser }) => byUser);
      rows.push({
        case: `input of a call, ${label}, trimMessages`,
        value: peer.tokens / peer.calls,
        unit: 'tokens',
      });
      for (const way of ways) {
        rows.push(...rowsOf(label, way, billOf(played.get(way)!), peer));
        const byUser = billOf(played.get(way)!, (call) => call.byUser);
        const { name } = way;
        rows.push(...rowsOf(label, { name: `${name}, calls after the user's turns` }, byUser, peerByUser));
      }
    }
    return rows;
  },
};

function billOf(played: readonly (readonly Call[])[], which: (call: Call) => boolean = () => true): Bill {
  const bill = new Bill();
  for (const calls of played) bill.add(calls.filter(which));
  return bill;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

export default bench;
