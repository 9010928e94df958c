import { z } from 'zod';
import { BudgetError } from '../errors.ts';
import { idSchema, limitSchema, parseInput } from '../input.ts';
import { encodeJson } from '../json.ts';
import { type FormattedMessages, formatMessages, type MessageFormat } from '../messages/formats/format.ts';
import type { ContextWindow, WindowBudget, WindowManifest } from '../model/window.ts';
import { messageLog } from '../partitions.ts';
import { partitionOf, type ServiceContext } from '../services.ts';
import type { Activity } from '../sessions/activity.ts';
import type { TokenCounter } from '../tokens/counter.ts';
import type { TokenLedger } from '../tokens/ledger.ts';
import { PER_REQUEST } from '../tokens/message-tokens.ts';
import { History } from './history.ts';
import { type Layout, layOut } from './layout.ts';
import { Manifests, type ReplayedWindow } from './manifests.ts';
import { asRecalled, LOOK_BACK, RECALL_SHARE, recall } from './recall.ts';
import { type Chosen, type Selection, select } from './select.ts';
import { type SessionUsage, UsageLedger, type UsageReport } from './usage.ts';

const buildSchema = z.strictObject({
  maxTokens: z.int().min(1).max(100_000_000),
  replyTokens: z.int().min(0).optional(),
  tools: z.union([z.int().min(0), z.array(z.unknown()), z.record(z.string(), z.unknown())]).optional(),
  model: idSchema.optional(),
  query: z.string().max(100_000).optional(),
  atSeq: z.int().min(0).optional(),
  channel: idSchema.optional(),
  record: z.boolean().optional(),
  as: z.enum(['ai-sdk', 'openai']).optional(),
});
const manifestsSchema = z.strictObject({
  limit: limitSchema.optional(),
  before: idSchema.optional(),
  channel: idSchema.optional(),
});

export interface BuildWindow {
  /** What the model takes in all, reply and tool schemas included. */
  maxTokens: number;
  /** Kept free for the reply. Default 0: `maxTokens` is then for the input alone. */
  replyTokens?: number | undefined;
  /** The tool schemas that go out with the call, to be counted; or how many tokens they take. */
  tools?: number | readonly unknown[] | Record<string, unknown> | undefined;
  /** Chooses the tokenizer. Where the model's own is not public the counts are estimates, and say so. */
  model?: string | undefined;
  /**
   * Looks for earlier messages about this, among the thousand before the window; what fits into a fifth of the
   * budget is put in, marked as recalled.
   */
  query?: string | undefined;
  /** The window as it would have been when the log ended at this seq. */
  atSeq?: number | undefined;
  channel?: string | undefined;
  /** Keep a manifest, so that what the model saw can be shown later. */
  record?: boolean | undefined;
}

/** A window with its messages in another format; `manifest` is there when it was recorded. */
export type BuiltWindow<M = ContextWindow['messages'][number]> = Omit<ContextWindow, 'messages'> & {
  messages: M[];
  manifest?: WindowManifest;
};

/** A checked request with what it needs. */
interface Request extends z.output<typeof buildSchema> {
  sessionId: string;
  counter: TokenCounter;
  /** The provider's tokens for one of ours. */
  ratio: number;
}

/** Estimates kept until the provider reports what the call really cost. */
const MAX_REMEMBERED = 10_000;

/** The context that a model is given: what matters most of a session, within a token budget. */
export class WindowService {
  readonly #context: ServiceContext;
  readonly #ledger: TokenLedger;
  readonly #activity: Activity;
  readonly #usage: UsageLedger;
  readonly #manifests: Manifests;
  /** What the last window of a session was counted at, by model. */
  readonly #estimates = new Map<string, number>();

  constructor(context: ServiceContext, services: { ledger: TokenLedger; activity: Activity }) {
    this.#context = context;
    this.#ledger = services.ledger;
    this.#activity = services.activity;
    this.#usage = new UsageLedger(context);
    this.#manifests = new Manifests(context);
  }

  /**
   * Builds the window for the next model call. The log is read from its end, page by page: the cost is that of the
   * window, whatever the length of the history.
   * @throws BudgetError when system prompt, pinned messages, newest group and last user turn alone don't fit
   */
  build(sessionId: string, options: BuildWindow): Promise<BuiltWindow>;
  build<F extends MessageFormat>(
    sessionId: string,
    options: BuildWindow & { as: F },
  ): Promise<BuiltWindow<FormattedMessages[F]>>;
  async build(
    sessionId: string,
    options: BuildWindow & { as?: MessageFormat },
  ): Promise<BuiltWindow<unknown>> {
    parseInput(idSchema, sessionId, 'window.build: sessionId');
    const given = parseInput(buildSchema, options, 'window.build');
    const [counter, calibration] = await Promise.all([
      this.#ledger.counter(given.model),
      this.#usage.calibration(sessionId, given.model),
      this.#activity.check(sessionId),
    ]);
    const request: Request = { ...given, sessionId, counter, ratio: calibration?.ratio ?? 1 };
    const { window, items } = await this.#build(request);
    const { channel, model, query } = given;
    const manifest = given.record
      ? await this.#manifests.record(sessionId, window, items, { channel, model, query })
      : undefined;
    const messages = given.as === undefined ? window.messages : formatMessages(window.messages, given.as);
    return { ...window, messages, ...(manifest && { manifest }) };
  }

  /**
   * Takes what the provider really counted: sums it up, and corrects later windows' estimates for that model. The
   * report is compared with the last window that this engine built for the session and model.
   */
  async reportUsage(sessionId: string, report: UsageReport): Promise<void> {
    parseInput(idSchema, sessionId, 'window.reportUsage: sessionId');
    const key = estimateKey(sessionId, report.model);
    await this.#usage.report(sessionId, report, this.#estimates.get(key));
    this.#estimates.delete(key);
  }

  /** What the session's calls have cost, by model and in all. */
  usage(sessionId: string): Promise<SessionUsage> {
    return this.#usage.of(sessionId);
  }

  /** Recorded windows, newest first; 50 unless said. `before` is a manifest's id. */
  async manifests(
    sessionId: string,
    options: { limit?: number; before?: string; channel?: string } = {},
  ): Promise<WindowManifest[]> {
    parseInput(idSchema, sessionId, 'window.manifests: sessionId');
    const { limit = 50, before, channel } = parseInput(manifestsSchema, options, 'window.manifests');
    await this.#activity.check(sessionId);
    return this.#manifests.list(sessionId, { limit, before, channel });
  }

  /** Shows a recorded window again: the same messages in the same order, and which of them have changed since. */
  async replay(sessionId: string, manifestId: string): Promise<ReplayedWindow> {
    parseInput(idSchema, sessionId, 'window.replay: sessionId');
    const manifest = await this.#manifests.get(
      sessionId,
      parseInput(idSchema, manifestId, 'window.replay: id'),
    );
    const counter = await this.#ledger.counter(manifest.model);
    const history = await this.#history({ sessionId, counter, channel: manifest.channel }, manifest.atSeq);
    const found = await history.at(manifest.messages.map(([seq]) => seq));
    const recalled = new Set(
      manifest.sections.find((part) => part.name === 'recalled')?.items.map((item) => item.seq),
    );
    const messages = manifest.messages.flatMap(([seq]) => {
      const message = found.get(seq)?.message;
      if (!message) return [];
      return [recalled.has(seq) ? asRecalled(message) : message];
    });
    return {
      manifest,
      messages,
      changed: manifest.messages
        .filter(([seq, version]) => found.has(seq) && found.get(seq)!.version !== version)
        .map(([seq]) => seq),
      gone: manifest.messages.filter(([seq]) => !found.has(seq)).map(([seq]) => seq),
    };
  }

  async #build(request: Request): Promise<{ window: ContextWindow; items: Chosen[] }> {
    const { sessionId, counter, ratio } = request;
    const history = await this.#history(request, request.atSeq);
    const { atSeq } = history;
    const budget = budgetOf(request);
    // Ours are counted by our counter: the budget is put in its tokens, and the result in the provider's.
    const room = Math.floor(budget.messages / ratio) - PER_REQUEST;
    const reserve = request.query === undefined ? 0 : Math.floor(room * RECALL_SHARE);
    const selection = await select(history, room, reserve);
    const layout = layOut(selection, await this.#recall(request, history, selection));
    const counted = PER_REQUEST + layout.items.reduce((sum, item) => sum + item.tokens, 0);
    this.#remember(estimateKey(sessionId, request.model), counted + Math.round(budget.tools / ratio));
    return {
      window: toWindow(layout, selection, { budget, atSeq, tokens: Math.ceil(counted * ratio), counter }),
      items: layout.items,
    };
  }

  async #recall(
    { query, counter }: Request,
    history: History,
    { left, turns }: Selection,
  ): Promise<Chosen[]> {
    if (query === undefined) return [];
    const oldest = turns[0]?.message.seq ?? history.oldestRead;
    const taken = new Set(turns.map((item) => item.message.seq));
    const candidates = (await history.olderThan(oldest, LOOK_BACK)).filter(
      (item) => !taken.has(item.message.seq),
    );
    return recall(candidates, query, left, counter);
  }

  #history(
    source: { sessionId: string; counter: TokenCounter; channel?: string | undefined },
    atSeq: number | undefined,
  ): Promise<History> {
    const partition = partitionOf(this.#context, source.sessionId);
    const log = messageLog(source.channel);
    const { counter } = source;
    return History.open({ store: this.#context.store, partition, log, ledger: this.#ledger, counter, atSeq });
  }

  #remember(key: string, tokens: number): void {
    if (this.#estimates.size >= MAX_REMEMBERED) this.#estimates.clear();
    this.#estimates.set(key, tokens);
  }
}

function budgetOf({ maxTokens, replyTokens = 0, tools = 0, counter, ratio }: Request): WindowBudget {
  const count = typeof tools === 'number' ? tools : counter.count(encodeJson(tools, 'tools'));
  const toolTokens = typeof tools === 'number' ? count : Math.ceil(count * ratio);
  const messages = maxTokens - replyTokens - toolTokens;
  if (messages <= 0) {
    throw new BudgetError(replyTokens + toolTokens, maxTokens, { reply: replyTokens, tools: toolTokens });
  }
  return { maxTokens, reply: replyTokens, tools: toolTokens, messages };
}

function toWindow(
  { items, ...layout }: Layout,
  { leftOut }: Selection,
  { counter, ...numbers }: Pick<ContextWindow, 'budget' | 'atSeq' | 'tokens'> & { counter: TokenCounter },
): ContextWindow {
  const { name, estimated = false } = counter;
  return {
    messages: items.map((item) => item.message),
    ...numbers,
    ...layout,
    leftOut,
    counter: { name, estimated },
  };
}

function estimateKey(sessionId: string, model: string | undefined): string {
  return `${sessionId}\0${model ?? ''}`;
}
