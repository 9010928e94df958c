/** Conversations of files become sessions of a store. */
import type { ContextEngine } from '../../core/engine.ts';
import {
  ConflictError,
  type ImportError,
  type InputIssue,
  InvalidInputError,
  isHoldfastError,
} from '../../core/errors.ts';
import { KeyedQueue } from '../../core/keyed-queue.ts';
import { parseMessage } from '../../core/messages/formats/parse.ts';
import type { MessageInput } from '../../core/model/message.ts';
import type { Session } from '../../core/model/session.ts';
import {
  type Backup,
  brokenConversation,
  type Conversation,
  type ConversationSource,
} from '../conversations/conversation.ts';
import { readConversations } from '../conversations/read-conversations.ts';
import { Pool } from './pool.ts';

/** So many sessions are written side by side: their commits go out together. */
const MAX_SESSIONS = 64;
/** Of the files' text in work at once, in bytes. */
const MAX_BYTES = 32 * 1024 * 1024;

export interface ImportOptions {
  /** Of conversations that don't say whose they are. */
  userId?: string | undefined;
  /** Stops reading; conversations under way are finished. */
  signal?: AbortSignal;
  /** @param share of all files' bytes, from 0 to 1 */
  onProgress?: (share: number, summary: ImportSummary) => void;
}

/** What an import did. All numbers count what was read from the files; messages of channels are among them. */
export interface ImportSummary {
  sessions: number;
  messages: number;
  /** Messages that the store did not have. */
  new: number;
  /** Messages that it had. */
  unchanged: number;
  conflicts: ImportConflict[];
  seconds: number;
  /** Stopped by the signal: there is more in the files. */
  interrupted: boolean;
}

/** A conversation that was left out, because the store has another one of that id. */
export interface ImportConflict extends ConversationSource {
  id: string;
  reason: string;
}

/**
 * Imports files, one after another. Nothing that is stored is ever changed: a conversation that is there already is
 * completed, and one that differs is told as a conflict, while the others go on. So an import can be repeated, and one
 * that was cut short goes on where it stopped.
 */
export class Import {
  readonly summary: ImportSummary = {
    sessions: 0,
    messages: 0,
    new: 0,
    unchanged: 0,
    conflicts: [],
    seconds: 0,
    interrupted: false,
  };
  readonly #engine: ContextEngine;
  readonly #options: ImportOptions;
  readonly #pool = new Pool({ tasks: MAX_SESSIONS, weight: MAX_BYTES });
  /** Two conversations of one id are imported in their order. */
  readonly #byId = new KeyedQueue();

  constructor(engine: ContextEngine, options: ImportOptions = {}) {
    this.#engine = engine;
    this.#options = options;
  }

  /** @throws ImportError at the first conversation that can't be read; those before it are stored by then */
  async run(files: readonly string[]): Promise<void> {
    const start = performance.now();
    const sources = files.map((file) => readConversations(file));
    const totalBytes = sources.reduce((sum, source) => sum + source.totalBytes, 0);
    let doneBytes = 0;
    try {
      for (const source of sources) {
        let read = 0;
        for await (const conversation of source) {
          if (this.#options.signal?.aborted) {
            this.summary.interrupted = true;
            return;
          }
          checkMessages(conversation);
          await this.#pool.add(source.bytesRead - read, () =>
            this.#byId.run(conversation.id, () => this.#import(conversation)),
          );
          read = source.bytesRead;
          this.#options.onProgress?.((doneBytes + read) / totalBytes, this.summary);
        }
        doneBytes += source.totalBytes;
      }
    } finally {
      await this.#pool.drain();
      this.summary.seconds = (performance.now() - start) / 1000;
    }
  }

  async #import(conversation: Conversation): Promise<void> {
    const { id, source } = conversation;
    try {
      const given = messageCount(conversation);
      const added = await this.#store(conversation);
      this.summary.sessions++;
      this.summary.messages += given;
      this.summary.new += added;
      this.summary.unchanged += given - added;
    } catch (error) {
      if (error instanceof InvalidInputError) throw broken(conversation, error.issues);
      if (!isHoldfastError(error) || error.code !== 'conflict') throw error;
      this.summary.conflicts.push({ id, ...source, reason: error.message });
    }
  }

  /** @returns how many messages are new */
  async #store(conversation: Conversation): Promise<number> {
    const { session, created } = await this.#session(conversation);
    const append = (messages: unknown[], channel?: string) =>
      this.#engine.messages.append(session.id, withTimes(messages, session.createdAt), {
        history: true,
        ...(channel !== undefined && { channel }),
      });
    try {
      let added = (await append(conversation.messages)).length;
      for (const { messages, ...channel } of conversation.backup?.channels ?? []) {
        await this.#engine.channels.open(session.id, channel);
        added += (await append(messages, channel.id)).length;
      }
      await this.#restore(session, conversation.backup ?? {}, created || added > 0);
      return added;
    } catch (error) {
      // A conversation that can't be stored leaves no empty session behind.
      if (created && error instanceof InvalidInputError) await this.#engine.sessions.delete(session.id);
      throw error;
    }
  }

  async #session(conversation: Conversation) {
    const { id, userId, createdAt, importedFrom, backup } = conversation;
    const owner = userId ?? this.#options.userId;
    const metadata =
      importedFrom === undefined ? conversation.metadata : { ...conversation.metadata, importedFrom };
    const { sessions } = this.#engine;
    const { ttlMs } = backup ?? {};
    try {
      const session = await sessions.create({ id, userId: owner ?? 'unknown', metadata, createdAt, ttlMs });
      return { session, created: true };
    } catch (error) {
      if (!isHoldfastError(error) || error.code !== 'conflict') throw error;
      const session = await sessions.get(id);
      const problem =
        owner === undefined || owner === session.userId
          ? originProblem(conversation, session)
          : 'the stored session belongs to another user';
      if (problem === undefined) return { session, created: false };
      throw new ConflictError(problem, session.version, { cause: error });
    }
  }

  /** State and status, where the session has none of its own yet. */
  async #restore(session: Session, { state, status }: Backup, fresh: boolean): Promise<void> {
    if (state) {
      const stored = await this.#engine.state.get(session.id);
      if (stored.version === 0) await this.#engine.state.merge(session.id, state, { ifVersion: 0 });
    }
    if (status && fresh && status !== session.status) await this.#engine.sessions.end(session.id, status);
  }
}

/**
 * An id that was made from a file's name says nothing of a file of that name elsewhere. An export has the id as one of
 * its own, and tells the first file in its metadata.
 */
function originProblem({ importedFrom, metadata }: Conversation, stored: Session): string | undefined {
  const from = importedFrom ?? metadata?.importedFrom;
  const storedFrom = stored.metadata.importedFrom;
  if (from === storedFrom || typeof from !== 'string') return undefined;
  // Whoever names the session by its own id may have taken the field away.
  if (importedFrom === undefined && typeof storedFrom !== 'string') return undefined;
  const origin = typeof storedFrom === 'string' ? `came from ${storedFrom}` : 'came from no file';
  return `the stored session ${origin}, this conversation from ${from}; rename the file or give its conversations ids`;
}

/** Messages are judged before anything of their conversation is written: what is broken stops the reading right there. */
function checkMessages(conversation: Conversation): void {
  const issues: InputIssue[] = [];
  const channels = conversation.backup?.channels ?? [];
  const lists: [string, unknown[]][] = [
    ['messages', conversation.messages],
    ...channels.map(({ messages }, i): [string, unknown[]] => [`holdfast.channels[${i}].messages`, messages]),
  ];
  for (const [path, messages] of lists) issues.push(...messageIssues(messages, path));
  if (issues.length > 0) throw broken(conversation, issues);
}

function messageIssues(messages: readonly unknown[], path: string): InputIssue[] {
  const issues: InputIssue[] = [];
  const places = new Map<string, string>();
  messages.forEach((message, i) => {
    const place = `${path}[${i}]`;
    try {
      const { id } = parseMessage(message, place);
      if (id === undefined) return;
      const other = places.get(id);
      if (other) issues.push({ path: `${place}.id`, message: `is that of ${other} already` });
      places.set(id, place);
    } catch (error) {
      if (!(error instanceof InvalidInputError)) throw error;
      issues.push(...error.issues);
    }
  });
  return issues;
}

function broken({ source }: Conversation, issues: readonly InputIssue[]): ImportError {
  return brokenConversation({ value: undefined, number: (source.index ?? 0) + 1, source }, issues);
}

function messageCount({ messages, backup }: Conversation): number {
  return (backup?.channels ?? []).reduce((sum, channel) => sum + channel.messages.length, messages.length);
}

/** A message that does not say when it was written is as old as its session. */
function withTimes(messages: readonly unknown[], createdAt: number): MessageInput[] {
  return (messages as MessageInput[]).map((message) =>
    message.createdAt === undefined ? { ...message, createdAt } : message,
  );
}
