import { z } from 'zod';
import type { CompactionGuard } from '../compaction/guard.ts';
import { readHandle } from '../compaction/marker.ts';
import {
  ConflictError,
  type InputIssue,
  InvalidInputError,
  isConflict,
  isUnavailable,
  NotFoundError,
  quote,
} from '../errors.ts';
import { idSchema, limitSchema, parseId, parseInput } from '../input.ts';
import type { Message, MessageInput, ParsedMessage } from '../model/message.ts';
import { kinds, marks, messageLog, sessionExists } from '../partitions.ts';
import type { Searcher } from '../search/search.ts';
import type { TextIndex } from '../search/text-index.ts';
import { missingSession, partitionOf, type ServiceContext } from '../services.ts';
import type { Activity } from '../sessions/activity.ts';
import type { Fence } from '../sessions/lease.ts';
import { fenced, fenceSchema, lostLease } from '../sessions/leases.ts';
import type { Entry, LogRange, Operation, Partition, Receipt } from '../store.ts';
import type { CountedLog, TokenLedger } from '../tokens/ledger.ts';
import type { TokenSettler } from '../tokens/settler.ts';
import { encodeMessage } from './codec.ts';
import { applyEdit, type EditMessage } from './edit.ts';
import { entriesAt, markOf, stored, toEntries, toMessage } from './entries.ts';
import { type FormattedMessages, formatMessages, type MessageFormat } from './formats/format.ts';
import { seqOfMessageId } from './formats/message-id.ts';
import { parseMessage } from './formats/parse.ts';
import { sameMessage } from './formats/same.ts';
import { newPart } from './history.ts';
import { noHandle, type Offloaded, offloadedIn } from './offloaded.ts';
import { type MessageSearch, type SearchMessages, searchMessages } from './search.ts';

/** The most messages of one append. They commit together, or not at all. */
const MAX_MESSAGES = 10_000;

const appendSchema = z.strictObject({
  channel: idSchema.optional(),
  history: z.boolean().optional(),
  lease: fenceSchema.optional(),
});
const listSchema = z.strictObject({
  channel: idSchema.optional(),
  limit: limitSchema.optional(),
  before: z.union([z.int().min(1), idSchema]).optional(),
  after: z.union([z.int().min(0), idSchema]).optional(),
  as: z.enum(['ai-sdk', 'openai']).optional(),
});
const channelSchema = z.strictObject({ channel: idSchema.optional() });
const popSchema = z.strictObject({ channel: idSchema.optional(), count: limitSchema.optional() });
const truncateSchema = z
  .strictObject({
    channel: idSchema.optional(),
    beforeSeq: z.int().min(1).optional(),
    afterSeq: z.int().min(0).optional(),
  })
  .refine(
    (range) => range.beforeSeq !== undefined || range.afterSeq !== undefined,
    'give beforeSeq, afterSeq or both',
  );

export interface AppendOptions {
  /** A channel of the session, in place of the conversation itself. */
  channel?: string;
  /**
   * The messages are the whole conversation so far: only the part that is new is appended.
   * `ConflictError` where they differ from what is stored. They may be more than one append takes: then they are
   * committed part by part, and handing the same history in again goes on where it stopped.
   */
  history?: boolean;
  /** Only while this is the session's current lease (see `sessions.lease`); `ConflictError` otherwise. */
  lease?: Fence;
}

export interface ListOptions {
  channel?: string;
  /** 1 to 1000; 50 where absent. */
  limit?: number;
  /** Only messages before this one (seq or id). */
  before?: number | string;
  /** Only messages after this one (seq or id); the oldest of them come first then. */
  after?: number | string;
}

/** Where messages are written, and under which lease. */
interface Where {
  channel?: string | undefined;
  lease?: Fence | undefined;
  /** What is written in the same commit. */
  also?: readonly Operation[] | undefined;
}

export interface MessageServices {
  activity: Activity;
  guard: CompactionGuard;
  ledger: TokenLedger;
  settler: TokenSettler;
  searcher: Searcher;
  textIndex: Pick<TextIndex, 'settle'>;
}

/** The messages of sessions. Their order is the store's `seq`, never a clock. */
export class MessageService {
  readonly #context: ServiceContext;
  readonly #services: MessageServices;

  constructor(context: ServiceContext, services: MessageServices) {
    this.#context = context;
    this.#services = services;
  }

  /**
   * Appends a message, or several in one commit: plain, AI SDK and OpenAI messages alike. A message whose `id` is
   * already there is not added again, so that a retry is harmless; the stored one is given back.
   * @throws NotFoundError, InvalidInputError (with all problems of all messages; nothing is written then)
   */
  append(sessionId: string, message: MessageInput, options?: AppendOptions): Promise<Message>;
  append(sessionId: string, messages: readonly MessageInput[], options?: AppendOptions): Promise<Message[]>;
  async append(
    sessionId: string,
    input: MessageInput | readonly MessageInput[],
    options?: AppendOptions,
  ): Promise<Message | Message[]> {
    const id = parseId(sessionId, 'messages.append: sessionId');
    const { channel, history, lease } = options
      ? parseInput(appendSchema, options, 'messages.append')
      : nothing;
    if (history) return this.#appendHistory(id, toArray(input), { channel, lease });
    const { messages, paths } = Array.isArray(input)
      ? parseAll(bounded(input))
      : { messages: [parseMessage(input, 'message')], paths: ['message'] };
    if (messages.length === 0) await this.#services.activity.check(id);
    const appended = messages.length === 0 ? [] : await this.#append(id, messages, paths, { channel, lease });
    return Array.isArray(input) ? appended : appended[0]!;
  }

  /** Messages in chronological order: the newest `limit`, or those next to `before` or `after`. */
  list(sessionId: string, options?: ListOptions): Promise<Message[]>;
  list<F extends MessageFormat>(
    sessionId: string,
    options: ListOptions & { as: F },
  ): Promise<FormattedMessages[F][]>;
  async list(sessionId: string, options: ListOptions & { as?: MessageFormat } = {}): Promise<unknown[]> {
    const id = parseId(sessionId, 'messages.list: sessionId');
    const { channel, limit = 50, before, after, as } = parseInput(listSchema, options, 'messages.list');
    const source = await this.#source(id, channel);
    const { partition, log } = source;
    const range: LogRange = {
      limit,
      reverse: after === undefined,
      ...(before !== undefined && { before: await this.#seqOf(partition, log, before) }),
      ...(after !== undefined && { after: await this.#seqOf(partition, log, after) }),
    };
    const { entries } = await this.#context.store.readLog(partition, log, range);
    const messages = await this.#decode(source, range.reverse ? entries.toReversed() : entries);
    return as === undefined ? messages : formatMessages(messages, as);
  }

  /** One message by its id. @throws NotFoundError */
  async get(sessionId: string, messageId: string, options: { channel?: string } = {}): Promise<Message> {
    const { source, entry } = await this.#entry('messages.get', sessionId, messageId, options);
    return (await this.#decode(source, [entry]))[0]!;
  }

  /** Changes a message in place; its id, seq and role stay. `ConflictError` when somebody else edits it meanwhile. */
  async edit(
    sessionId: string,
    messageId: string,
    changes: EditMessage,
    options: { channel?: string } = {},
  ): Promise<Message> {
    const { source, entry } = await this.#entry('messages.edit', sessionId, messageId, options);
    const edited = applyEdit(toMessage(entry), changes);
    const value = encodeMessage(edited, edited.createdAt!);
    const mark = markOf(edited) ?? null;
    const place = { log: source.log, seq: entry.seq, ifVersion: entry.version };
    const rewrite: Operation = { op: 'rewrite', ...place, value, mark };
    // Only what is said stands in summaries; what is pinned no longer has to be found in its place again.
    const concerns =
      changes.content !== undefined ||
      changes.name !== undefined ||
      (entry.mark === marks.pinned && mark !== marks.pinned);
    const firstChanged = async () => (concerns ? entry.seq : undefined);
    await this.#services.guard.changing({ sessionId, channel: options.channel }, firstChanged, (also) =>
      this.#commit(sessionId, rewrite, { also }),
    );
    // Giving it back counts its tokens anew.
    return this.get(sessionId, messageId, options);
  }

  /** Takes the newest messages away, and gives them back in chronological order. */
  async pop(sessionId: string, options: { count?: number; channel?: string } = {}): Promise<Message[]> {
    const id = parseId(sessionId, 'messages.pop: sessionId');
    const { count = 1, channel } = parseInput(popSchema, options, 'messages.pop');
    const source = await this.#source(id, channel);
    const { partition, log } = source;
    for (;;) {
      const { entries, lastSeq } = await this.#context.store.readLog(partition, log, {
        limit: count,
        reverse: true,
      });
      const oldest = entries.at(-1);
      if (!oldest) return [];
      const messages = await this.#decode(source, entries.toReversed());
      try {
        const truncate: Operation = { op: 'truncate', log, after: oldest.seq - 1, ifLastSeq: lastSeq };
        const receipt = await this.#services.guard.changing(
          { sessionId: id, channel },
          async () => oldest.seq,
          (also) => this.#commit(id, truncate, { also }),
        );
        const { count = 0 } = receipt.results[1]!;
        // A log that is popped still ends where it did: who popped at the same time has taken the newest of these.
        if (count > 0) return messages.slice(0, count);
      } catch (error) {
        if (!lostLog(error)) throw error;
      }
    }
  }

  /** Takes the messages before and after given seqs away. @returns how many went */
  async truncate(
    sessionId: string,
    range: { beforeSeq?: number; afterSeq?: number; channel?: string },
  ): Promise<number> {
    const id = parseId(sessionId, 'messages.truncate: sessionId');
    const { beforeSeq, afterSeq, channel } = parseInput(truncateSchema, range, 'messages.truncate');
    const bounds = {
      ...(beforeSeq !== undefined && { before: beforeSeq }),
      ...(afterSeq !== undefined && { after: afterSeq }),
    };
    const log = messageLog(channel);
    const firstChanged = async () => {
      if (beforeSeq === undefined) return afterSeq! + 1;
      const { firstSeq } = await this.#context.store.readLog(partitionOf(this.#context, id), log, {
        limit: 1,
      });
      if (firstSeq < beforeSeq) return firstSeq;
      return afterSeq === undefined ? undefined : afterSeq + 1;
    };
    const receipt = await this.#services.guard.changing({ sessionId: id, channel }, firstChanged, (also) =>
      this.#commit(id, { op: 'truncate', log, ...bounds }, { channel, also }),
    );
    return receipt.results[1]!.count ?? 0;
  }

  /** Takes all messages away; seqs go on from where they were. @returns how many went */
  async clear(sessionId: string, options: { channel?: string } = {}): Promise<number> {
    parseInput(channelSchema, options, 'messages.clear');
    return this.truncate(sessionId, { ...options, afterSeq: 0 });
  }

  /**
   * Finds messages of a session, or of all sessions of a user: by their words and those around them, by who said them
   * and when. The index first catches up with what was written; appending does not pay for it.
   */
  async search(query: string, options: SearchMessages): Promise<MessageSearch> {
    return searchMessages(this.#context, this.#services, query, options);
  }

  /**
   * The whole of what stands as a marker in a window, by the handle that the marker names (`@120/0`): a tool's result,
   * a part of a message, or all of one. @throws NotFoundError when the message is not there any more
   */
  async readOffloaded(
    sessionId: string,
    handle: string,
    options: { channel?: string } = {},
  ): Promise<Offloaded> {
    const place = readHandle(parseId(handle, 'messages.readOffloaded: handle'));
    if (!place) throw noHandle();
    const { seq, part } = place;
    const id = parseId(sessionId, 'messages.readOffloaded: sessionId');
    const { channel } = parseInput(channelSchema, options, 'messages.readOffloaded');
    const { partition, log } = await this.#source(id, channel);
    const range = { seqs: [seq], limit: 1 };
    const entry = (await this.#context.store.readLog(partition, log, range)).entries[0];
    const found = entry && offloadedIn(toMessage(entry), part);
    if (!found) throw new NotFoundError('offloaded part', handle);
    return found;
  }

  /** Resolves when everything appended through this engine has its tokens counted. */
  settled(): Promise<void> {
    return this.#services.settler.settled();
  }

  async #append(
    id: string,
    messages: readonly ParsedMessage[],
    paths: readonly string[],
    { channel, ifLastSeq, lease }: Where & { ifLastSeq?: number },
  ): Promise<Message[]> {
    const now = this.#context.clock.now();
    const givenIds = messages.some((message) => message.id !== undefined);
    // Encoded at once: the caller may change its objects while we wait.
    const entries = toEntries(messages, now, paths);
    const log = messageLog(channel);
    const append: Operation = { op: 'append', log, entries, ...(ifLastSeq !== undefined && { ifLastSeq }) };
    if (givenIds) await this.#checkIds(partitionOf(this.#context, id), log, messages);
    const receipt = await this.#commit(id, append, { channel, lease });
    const { seqs, count } = receipt.results[1]!;
    const partition = partitionOf(this.#context, id);
    if (count! > 0) this.#services.settler.appended(partition, log, seqs![0]!);
    if (count === messages.length) return messages.map((message, i) => stored(message, seqs![i]!, now));
    return this.#stored(partition, log, seqs!);
  }

  /**
   * An id that is there already must be a retry of the same message: another one would be lost. While the store is away
   * that can't be told. @throws ConflictError
   */
  async #checkIds(partition: Partition, log: string, messages: readonly ParsedMessage[]): Promise<void> {
    const given = new Map<string, ParsedMessage>();
    for (const message of messages) if (message.id !== undefined) given.set(message.id, message);
    const range = { ids: [...given.keys()], limit: given.size };
    const known = await this.#context.store.readLog(partition, log, range).catch((error: unknown) => {
      if (!isUnavailable(error)) throw error;
    });
    for (const entry of known?.entries ?? []) {
      if (sameMessage(toMessage(entry), given.get(entry.id!)!)) continue;
      throw new ConflictError(
        `message ${quote(entry.id!)} is there already, and says something else`,
        entry.version,
        {
          hint: 'Give the new message an id of its own, or change the stored one with messages.edit.',
          details: { messageId: entry.id },
        },
      );
    }
  }

  /** Commits an operation on a session that must exist, and says that it was used. The operation's result is the second. */
  async #commit(
    id: string,
    operation: Operation,
    { channel, lease, also = [] }: Where = {},
  ): Promise<Receipt> {
    const { activity } = this.#services;
    const operations = [sessionExists, operation, ...also, ...fenced(lease)];
    if (channel !== undefined)
      operations.push({ op: 'check', kind: kinds.channel, id: channel, ifVersion: 'present' });
    const touching = activity.touch(id);
    const touch = touching && (await touching);
    if (touch) operations.push(...touch.operations);
    const committing = this.#context.store.commit({ partition: partitionOf(this.#context, id), operations });
    if (touch) activity.remember(id, touch);
    try {
      const receipt = await committing;
      if (operation.op !== 'append') this.#services.textIndex.settle(partitionOf(this.#context, id));
      return receipt;
    } catch (error) {
      activity.forget(id);
      throw lostLease(missing(error, id, channel), id);
    }
  }

  /** Of a batch in which some messages were there already, what is stored. */
  async #stored(partition: Partition, log: string, seqs: readonly number[]): Promise<Message[]> {
    const entries = await entriesAt(this.#context.store, partition, log, seqs);
    const messages = new Map([...entries].map(([seq, entry]) => [seq, toMessage(entry)]));
    return seqs.map((seq) => messages.get(seq)!);
  }

  async #appendHistory(
    id: string,
    input: readonly MessageInput[],
    { channel, lease }: Where,
  ): Promise<Message[]> {
    const { messages, paths } = parseAll(input);
    const partition = partitionOf(this.#context, id);
    await this.#services.activity.check(id);
    const compare = () => newPart(this.#context.store, partition, messageLog(channel), messages);
    const appended: Message[] = [];
    let { known, lastSeq } = await compare();
    while (known < messages.length) {
      const end = known + MAX_MESSAGES;
      try {
        const part = messages.slice(known, end);
        const added = await this.#append(id, part, paths.slice(known, end), {
          channel,
          ifLastSeq: lastSeq,
          lease,
        });
        appended.push(...added);
        known += added.length;
        lastSeq = added.at(-1)!.seq;
      } catch (error) {
        // Somebody appended meanwhile: it may be the same history.
        if (!lostLog(error)) throw error;
        ({ known, lastSeq } = await compare());
      }
    }
    return appended;
  }

  async #entry(what: string, sessionId: string, id: string, options: { channel?: string }) {
    parseId(sessionId, `${what}: sessionId`);
    parseId(id, `${what}: id`);
    const { channel } = parseInput(channelSchema, options, what);
    const source = await this.#source(sessionId, channel);
    const { partition, log } = source;
    const seq = seqOfMessageId(id);
    const range: LogRange = { ...(seq === undefined ? { ids: [id] } : { seqs: [seq] }), limit: 1 };
    const { entries } = await this.#context.store.readLog(partition, log, range);
    const entry = entries[0];
    if (!entry || (seq !== undefined && entry.id !== undefined)) throw new NotFoundError('message', id);
    return { source, entry };
  }

  async #seqOf(partition: Partition, log: string, place: number | string): Promise<number> {
    if (typeof place === 'number') return place;
    const seq = seqOfMessageId(place);
    if (seq !== undefined) return seq;
    const { entries } = await this.#context.store.readLog(partition, log, { ids: [place], limit: 1 });
    if (!entries[0]) throw new NotFoundError('message', place);
    return entries[0].seq;
  }

  /** The log of a session, or of a channel of it, that must be there. */
  async #source(id: string, channel: string | undefined): Promise<CountedLog> {
    const sessionVersion = await this.#services.activity.checkForRead(id);
    const partition = partitionOf(this.#context, id);
    if (channel !== undefined && !(await this.#context.records.get(partition, kinds.channel, channel))) {
      throw noChannel(channel);
    }
    return { partition, log: messageLog(channel), sessionVersion };
  }

  async #decode(source: CountedLog, entries: readonly Entry[]): Promise<Message[]> {
    const { ledger } = this.#services;
    const tokens = await ledger.count(source, entries, await ledger.counter());
    return entries.map((entry, i) => ({ ...toMessage(entry), tokens: tokens[i]! }));
  }
}

const nothing: AppendOptions = {};

function toArray(input: MessageInput | readonly MessageInput[]): readonly MessageInput[] {
  return Array.isArray(input) ? input : [input as MessageInput];
}

function noChannel(channel: string): NotFoundError {
  return new NotFoundError('channel', channel, {
    hint: 'Open it first: engine.channels.open(sessionId, …).',
  });
}

/** What a failed condition of a commit means: the session or the channel is not there. Other errors as they are. */
function missing(error: unknown, id: string, channel: string | undefined): unknown {
  if (isConflict(error) && error.details?.kind === kinds.channel) {
    return noChannel(channel!);
  }
  return missingSession(error, id);
}

/** Whether a condition on a log's end failed: somebody appended meanwhile. */
function lostLog(error: unknown): boolean {
  return isConflict(error) && error.details?.log !== undefined;
}

function bounded(input: readonly MessageInput[]): readonly MessageInput[] {
  if (input.length <= MAX_MESSAGES) return input;
  throw new InvalidInputError('messages.append', [
    { path: 'messages', message: `has ${input.length}, the limit is ${MAX_MESSAGES}` },
  ]);
}

/** All messages, or all problems of all of them. */
function parseAll(input: readonly MessageInput[]): { messages: ParsedMessage[]; paths: string[] } {
  const messages: ParsedMessage[] = [];
  const issues: InputIssue[] = [];
  const ids = new Set<string>();
  const paths = input.map((_, i) => `messages[${i}]`);
  for (let i = 0; i < input.length; i++) {
    try {
      const message = parseMessage(input[i], paths[i]!);
      messages.push(message);
      if (message.id === undefined) continue;
      if (ids.has(message.id))
        issues.push({ path: `${paths[i]}.id`, message: 'is that of a message before it' });
      ids.add(message.id);
    } catch (error) {
      if (!(error instanceof InvalidInputError)) throw error;
      issues.push(...error.issues);
    }
  }
  if (issues.length > 0) throw new InvalidInputError('messages.append', issues);
  return { messages, paths };
}
