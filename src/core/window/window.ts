import { z } from 'zod';
import type { CompactedLog, KeptCompaction } from '../compaction/compaction-log.ts';
import type { BuiltFor, CompactionService } from '../compaction/compactions.ts';
import type { CompactOptions } from '../compaction/options.ts';
import { renderSummary, summaryMessage } from '../compaction/summary.ts';
import { isHoldfastError } from '../errors.ts';
import { idSchema, limitSchema, parseInput } from '../input.ts';
import { type FormattedMessages, formatMessages, type MessageFormat } from '../messages/formats/format.ts';
import type { Compaction, CompactionResult } from '../model/compaction.ts';
import type { Message } from '../model/message.ts';
import type { ContextWindow, ManifestItem, Recalled, WindowManifest } from '../model/window.ts';
import { messageLog } from '../partitions.ts';
import { partitionOf, type ServiceContext } from '../services.ts';
import type { Activity } from '../sessions/activity.ts';
import type { TokenCounter } from '../tokens/counter.ts';
import type { TokenLedger } from '../tokens/ledger.ts';
import { Budget } from './budget.ts';
import type { Counted } from './groups.ts';
import { History } from './history.ts';
import { layOut } from './layout.ts';
import { asBuilt, Manifests, type ReplayedWindow } from './manifests.ts';
import { type RecallOptions, type RecallSources, recallInto, recallRoom, recallSchema } from './recall.ts';
import { RECALLED_SEQ, replayRecalled } from './recalled.ts';
import { type Chosen, explain, type Selection, select } from './select.ts';
import { type Estimate, type SessionUsage, UsageLedger, type UsageReport } from './usage.ts';

const buildSchema = z.strictObject({
  maxTokens: z.int().min(1).max(100_000_000),
  replyTokens: z.int().min(0).optional(),
  tools: z.union([z.int().min(0), z.array(z.unknown()), z.record(z.string(), z.unknown())]).optional(),
  model: idSchema.optional(),
  query: z.string().max(100_000).optional(),
  recall: recallSchema.optional(),
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
  /** What the model takes in all, reply and tool schemas included. The engine's `maxTokens` where absent. */
  maxTokens?: number | undefined;
  /** Kept free for the reply. Default 0: `maxTokens` is then for the input alone. */
  replyTokens?: number | undefined;
  /** The tool schemas that go out with the call, to be counted; or how many tokens they take. */
  tools?: number | readonly unknown[] | Record<string, unknown> | undefined;
  /** Chooses the tokenizer. Where the model's own is not public the counts are estimates, and say so. */
  model?: string | undefined;
  /** What to recall: what the last user turn says, where absent. */
  query?: string | undefined;
  /**
   * Once the conversation is longer than the window, somewhat more than half of the budget (4000 tokens at most) is kept free for what the
   * query is about and the window does not hold: earlier messages, and memories of the user. They stand just before the
   * last user message, marked. Default true; false keeps all of the budget for the newest turns.
   */
  recall?: boolean | RecallOptions | undefined;
  /**
   * The window as it would have been when the log ended at this seq: with the compaction that stood then, and memories
   * that had been made when its last message was said. At the log's end it is a window of now, with the newest of both.
   */
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
  sessionVersion: number;
  counter: TokenCounter;
  /** The provider's tokens for one of ours. */
  ratio: number;
}

/** How full a window is, in the counter's tokens but for `forTokens`. */
type Fill = Pick<BuiltFor, 'forTokens' | 'room' | 'longRoom' | 'fixed' | 'tokens' | 'full'>;

export interface WindowServices extends RecallSources {
  ledger: TokenLedger;
  activity: Activity;
  compactions: CompactionService;
}

/** Estimates kept until the provider reports what the call really cost. */
const MAX_REMEMBERED = 10_000;

/** The context that a model is given: what matters most of a session, within a token budget. */
export class WindowService {
  readonly #context: ServiceContext;
  readonly #ledger: TokenLedger;
  readonly #activity: Activity;
  readonly #compactions: CompactionService;
  readonly #sources: RecallSources;
  readonly #usage: UsageLedger;
  readonly #manifests: Manifests;
  readonly #defaults: { maxTokens?: number };
  /** What the last window of a session was counted at, by model. */
  readonly #estimates = new Map<string, Estimate>();

  constructor(context: ServiceContext, services: WindowServices) {
    this.#context = context;
    this.#ledger = services.ledger;
    this.#activity = services.activity;
    this.#compactions = services.compactions;
    this.#sources = services;
    this.#usage = new UsageLedger(context);
    this.#manifests = new Manifests(context);
    const { maxTokens } = context.defaults;
    this.#defaults = maxTokens === undefined ? {} : { maxTokens };
  }

  /**
   * Builds the window for the next model call: the newest compaction, and what came after it. The log is read from its
   * end, page by page: the cost is that of the window, whatever the length of the history. A window that is nearly full
   * starts a compaction, which a later one stands on.
   * @throws BudgetError when system prompt, pinned messages, newest group and last user turn alone don't fit
   */
  build(sessionId: string, options?: BuildWindow): Promise<BuiltWindow>;
  build<F extends MessageFormat>(
    sessionId: string,
    options: BuildWindow & { as: F },
  ): Promise<BuiltWindow<FormattedMessages[F]>>;
  async build(
    sessionId: string,
    options: BuildWindow & { as?: MessageFormat } = {},
  ): Promise<BuiltWindow<unknown>> {
    parseInput(idSchema, sessionId, 'window.build: sessionId');
    const given = parseInput(buildSchema, { ...this.#defaults, ...options }, 'window.build');
    const [sessionVersion, counter, calibration] = await Promise.all([
      this.#activity.checkForRead(sessionId),
      this.#ledger.counter(given.model),
      this.#usage.calibration(sessionId, given.model),
    ]);
    const ratio = calibration?.ratio ?? 1;
    const request: Request = { ...given, sessionId, sessionVersion, counter, ratio };
    const { window, items } = await this.#build(request);
    const { channel, model, query } = given;
    const manifest = given.record
      ? await this.#manifests.record(sessionId, window, items, { channel, model, query })
      : undefined;
    return { ...formatted(window, given.as), ...(manifest && { manifest }) };
  }

  /**
   * Makes the older part of a session shorter, now: windows then begin with what stands for it. Nothing of the log is
   * changed, and `undo` takes it back.
   * @returns the compaction, or why there is none: `nothing-to-compact`, `saves-too-little`, `under-way`, …
   * @throws NotFoundError, StoreUnavailableError, and the reason of a signal that was aborted
   */
  compact(sessionId: string, options?: CompactOptions): Promise<CompactionResult> {
    return this.#compactions.compact(sessionId, options);
  }

  /** All that were made, newest first, with those that no longer count; 50 unless said. `before` is one's id. */
  compactions(
    sessionId: string,
    options?: { limit?: number; before?: string; channel?: string },
  ): Promise<Compaction[]> {
    return this.#compactions.list(sessionId, options);
  }

  /**
   * Takes back a compaction, the newest unless an id is given, and all after it: windows are built without them, as if
   * they had not been made. They stay in the list, marked. @throws NotFoundError
   */
  undo(sessionId: string, id?: string, options?: { channel?: string }): Promise<Compaction> {
    return this.#compactions.undo(sessionId, id, options);
  }

  /** Resolves when no compaction is under way that this engine started by itself. */
  settled(): Promise<void> {
    return this.#compactions.settled();
  }

  /**
   * Takes what the provider really counted: sums it up, and corrects later windows' estimates for that model. The
   * report is compared with the last window that this engine built for the session and model.
   */
  async reportUsage(sessionId: string, report: UsageReport): Promise<void> {
    parseInput(idSchema, sessionId, 'window.reportUsage: sessionId');
    const key = estimateKey(sessionId, report?.model);
    await this.#activity.check(sessionId);
    await this.#usage.report(sessionId, report, this.#estimates.get(key));
    this.#estimates.delete(key);
  }

  /** What the session's calls have cost, by model and in all. */
  async usage(sessionId: string): Promise<SessionUsage> {
    await this.#activity.check(parseInput(idSchema, sessionId, 'window.usage: sessionId'));
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

  /**
   * Shows a recorded window again: the same messages in the same order, with the text they have now. Those that were
   * edited or taken away since are told: `changed`, `gone`; of memories `changedMemories`, `goneMemories`.
   */
  async replay(sessionId: string, manifestId: string): Promise<ReplayedWindow> {
    parseInput(idSchema, sessionId, 'window.replay: sessionId');
    const sessionVersion = await this.#activity.check(sessionId);
    const manifest = await this.#manifests.get(
      sessionId,
      parseInput(idSchema, manifestId, 'window.replay: id'),
    );
    const counter = await this.#ledger.counter(manifest.model);
    const history = await this.#history(
      { sessionId, sessionVersion, counter, channel: manifest.channel },
      manifest.atSeq,
    );
    const found = await history.at(manifest.messages.map(([seq]) => seq).filter((seq) => seq > 0));
    const summary = await this.#summaryOf({ sessionId, channel: manifest.channel }, manifest);
    if (summary) found.set(0, summary);
    const recalled = await replayRecalled(manifest, {
      history,
      counter,
      memory: (id) => this.#sources.memory.get(id, { sessionId }).catch(whereGone),
    });
    if (recalled.item) found.set(RECALLED_SEQ, recalled.item);
    const shown = manifest.messages.filter(([seq]) => seq !== RECALLED_SEQ);
    const isChanged = ([seq, version]: ManifestItem) => found.has(seq) && found.get(seq)!.version !== version;
    return {
      manifest,
      messages: manifest.messages.flatMap((item) => {
        const now = found.get(item[0]);
        return now ? [asBuilt(item, now)] : [];
      }),
      changed: [...shown.filter(isChanged).map(([seq]) => seq), ...recalled.changed],
      gone: [...shown.filter(([seq]) => !found.has(seq)).map(([seq]) => seq), ...recalled.gone],
      changedMemories: recalled.changedMemories,
      goneMemories: recalled.goneMemories,
    };
  }

  /** Builds a window; where one shows that a compaction is due and waits for it, builds it anew. */
  async #build(request: Request): Promise<{ window: ContextWindow; items: Chosen[] }> {
    const built = await this.#buildNow(request);
    if (request.atSeq !== undefined) return built;
    const { sessionId, channel, counter } = request;
    const due = { sessionId, channel, counter, atSeq: built.window.atSeq, ...built.fill };
    return (await this.#compactions.afterBuild(due)) ? this.#buildNow(request) : built;
  }

  async #buildNow(request: Request): Promise<{ window: ContextWindow; items: Chosen[]; fill: Fill }> {
    const { sessionId, channel, counter, ratio, atSeq, recall = true } = request;
    const budget = new Budget(request, counter, ratio);
    const forTokens = budget.told.messages;
    const compaction = await this.#compactions.find({ sessionId, channel }, forTokens, atSeq);
    const history = await this.#history(request, atSeq, compaction);
    const recalling = recall === false ? undefined : recall === true ? {} : recall;
    const reserve = recalling ? recallRoom(budget.room, recalling) : 0;
    const selection = await select(history, budget, reserve);
    const { chosen: recalled, report } = recalling
      ? await this.#recall(history, selection, { ...request, options: recalling, reserve })
      : { chosen: [] };
    const { items, ...layout } = layOut(selection, recalled);
    const tokens = items.reduce((sum, item) => sum + item.tokens, 0);
    this.#remember(estimateKey(sessionId, request.model), {
      tokens: budget.estimate(tokens),
      exact: !counter.estimated,
    });
    const window: ContextWindow = {
      messages: items.map((item) => item.message),
      tokens: budget.cost(tokens),
      budget: budget.told,
      ...layout,
      leftOut: explain(
        history,
        selection,
        new Set(recalled.flatMap(({ recalled = [] }) => recalled.map(seqOf))),
      ),
      atSeq: history.atSeq,
      ...(compaction && { compaction: compaction.id }),
      ...(report && { recall: report }),
      counter: { name: counter.name, estimated: counter.estimated ?? false },
    };
    return { window, items, fill: { forTokens, longRoom: budget.room - reserve, ...fillOf(selection) } };
  }

  #recall(
    history: History,
    selection: Selection,
    {
      sessionId,
      query,
      counter,
      channel,
      options,
      reserve,
    }: Request & { options: RecallOptions; reserve: number },
  ) {
    const request = {
      query,
      options,
      counter,
      room: Math.min(selection.left, reserve),
      tenant: this.#context.tenant,
      sessionId,
      partition: partitionOf(this.#context, sessionId),
      log: messageLog(channel),
    };
    return recallInto(history, selection, request, this.#sources);
  }

  /** The summary of a recorded window, as it was. */
  async #summaryOf(at: CompactedLog, { compaction, messages }: WindowManifest): Promise<Counted | undefined> {
    const shown = messages.find(([seq]) => seq === 0);
    if (!shown || compaction === undefined) return undefined;
    const one = await this.#compactions.get(at, compaction);
    if (!one?.summary) return undefined;
    const [, version, tokens] = shown;
    const message: Message = { ...summaryMessage(one, renderSummary(one.summary)), tokens };
    return { message, tokens, version };
  }

  #history(
    {
      sessionId,
      sessionVersion,
      counter,
      channel,
    }: Pick<Request, 'sessionId' | 'sessionVersion' | 'counter' | 'channel'>,
    atSeq: number | undefined,
    compaction?: KeptCompaction,
  ): Promise<History> {
    const partition = partitionOf(this.#context, sessionId);
    const log = messageLog(channel);
    const { store } = this.#context;
    const source = { store, partition, log, ledger: this.#ledger, counter, sessionVersion };
    return History.open({ ...source, atSeq, compaction });
  }

  #remember(key: string, estimate: Estimate): void {
    if (this.#estimates.size >= MAX_REMEMBERED) this.#estimates.clear();
    this.#estimates.set(key, estimate);
  }
}

/** Recalled messages don't count: they come anew each time. */
function fillOf({
  system,
  pinned,
  summary,
  turns,
  groups,
  room,
}: Selection): Pick<Fill, 'room' | 'fixed' | 'tokens' | 'full'> {
  const sum = (items: readonly Counted[]) => items.reduce((total, item) => total + item.tokens, 0);
  const fixed = sum(system) + sum(pinned);
  const full = groups.some((group) => !group.reason);
  return { room, fixed, tokens: fixed + sum(summary) + sum(turns), full };
}

function whereGone(error: unknown): undefined {
  if (!isHoldfastError(error) || error.code !== 'not-found') throw error;
}

function seqOf(recalled: Recalled): number {
  return 'seq' in recalled ? recalled.seq : RECALLED_SEQ;
}

/** The window in another format, in which a message may become several. */
function formatted(window: ContextWindow, as: MessageFormat | undefined): BuiltWindow<unknown> {
  if (as === undefined) return window;
  if (as === 'ai-sdk') return { ...window, messages: formatMessages(window.messages, as) };
  const messages = window.messages.map((message) => formatMessages([message], as));
  let end = -1;
  const ends = messages.map(({ length }) => (end += length));
  const cacheBreakpoints = window.cacheBreakpoints.map((index) => ends[index]!);
  return { ...window, messages: messages.flat(), cacheBreakpoints };
}

function estimateKey(sessionId: string, model: string | undefined): string {
  return `${sessionId}\0${model ?? ''}`;
}
