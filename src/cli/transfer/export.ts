/** Sessions as lines of JSON: a backup that an import restores, or chats as OpenAI has them. */
import type { Channel } from '../../core/channels/channels.ts';
import type { ContextEngine } from '../../core/engine.ts';
import { toMessage } from '../../core/messages/entries.ts';
import { formatMessages } from '../../core/messages/formats/format.ts';
import { seqOfMessageId } from '../../core/messages/formats/message-id.ts';
import type { Message } from '../../core/model/message.ts';
import type { Session } from '../../core/model/session.ts';
import { messageLog, sessionPartition } from '../../core/partitions.ts';
import type { Store } from '../../core/store.ts';

export type ExportFormat = 'holdfast' | 'openai';

/** So many messages are in memory at once. */
const PAGE = 200;

/** Writes sessions as text, piece by piece: a line each, of any length, in bounded memory. */
export class Export {
  readonly #engine: ContextEngine;
  readonly #store: Store;
  readonly #format: ExportFormat;
  messages = 0;
  sessions = 0;

  constructor({ engine, store }: { engine: ContextEngine; store: Store }, format: ExportFormat) {
    this.#engine = engine;
    this.#store = store;
    this.#format = format;
  }

  /** The line of a session, with its line end. */
  async *line(session: Session): AsyncGenerator<string> {
    if (this.#format === 'openai') {
      yield '{"messages":[';
      yield* this.#messages(session);
      yield ']}\n';
    } else {
      const { id, userId, createdAt, metadata } = session;
      yield openObject({ id, userId, createdAt, ...(Object.keys(metadata).length > 0 && { metadata }) });
      yield ',"messages":[';
      yield* this.#messages(session);
      yield ']';
      yield* this.#backup(session);
      yield '}\n';
    }
    this.sessions++;
  }

  /** What a session has besides its conversation, under one name; nothing where it has nothing. */
  async *#backup(session: Session): AsyncGenerator<string> {
    const [state, channels] = await Promise.all([
      this.#engine.state.get(session.id),
      this.#engine.channels.list(session.id),
    ]);
    const { status, ttlMs } = session;
    const fields = {
      ...(status !== 'active' && { status }),
      ...(ttlMs !== undefined && { ttlMs }),
      ...(state.version > 0 && { state: state.value }),
    };
    const head = Object.entries(fields).map(
      ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`,
    );
    if (head.length === 0 && channels.length === 0) return;
    yield `,"holdfast":{${head.join(',')}`;
    for (const [i, channel] of channels.entries()) {
      yield i > 0 ? ',' : `${head.length > 0 ? ',' : ''}"channels":[`;
      yield `${openObject(channelFields(channel))},"messages":[`;
      yield* this.#messages(session, channel.id);
      yield ']}';
    }
    yield channels.length > 0 ? ']}' : '}';
  }

  /** Read from the log itself: a list of messages would have their tokens counted. */
  async *#messages(session: Pick<Session, 'id' | 'createdAt'>, channel?: string): AsyncGenerator<string> {
    const partition = sessionPartition(this.#engine.tenantName, session.id);
    let after = 0;
    let separator = '';
    for (;;) {
      const { entries } = await this.#store.readLog(partition, messageLog(channel), { after, limit: PAGE });
      const texts = entries.flatMap((entry) => this.#write(toMessage(entry), session.createdAt));
      if (texts.length > 0) {
        yield separator + texts.join(',');
        separator = ',';
      }
      this.messages += entries.length;
      if (entries.length < PAGE) return;
      after = entries.at(-1)!.seq;
    }
  }

  #write(message: Message, sessionCreatedAt: number): string[] {
    const written =
      this.#format === 'openai' ? formatMessages([message], 'openai') : [asGiven(message, sessionCreatedAt)];
    return written.map((one) =>
      JSON.stringify(one, typeof message.content === 'string' ? undefined : textual),
    );
  }
}

/** A message in the format it was given in, with those of our own fields that were given with it. */
export function asGiven(message: Message, sessionCreatedAt: number): Record<string, unknown> {
  const { id, priority, pinned, metadata, createdAt, wire } = message;
  const [written] = formatMessages([message], wire?.format === 'openai' ? 'openai' : 'ai-sdk');
  return {
    ...(seqOfMessageId(id) === undefined && { id }),
    ...(written as object),
    ...(priority !== undefined && { priority }),
    ...(pinned !== undefined && { pinned }),
    ...(metadata !== undefined && { metadata }),
    // The import gives a message that says nothing its session's time.
    ...(createdAt !== sessionCreatedAt && { createdAt }),
  };
}

function channelFields({ id, type, participants, metadata, createdAt }: Channel): object {
  return { id, type, participants, ...(Object.keys(metadata).length > 0 && { metadata }), createdAt };
}

/** JSON of an object that is to be continued. */
function openObject(fields: object): string {
  return JSON.stringify(fields).slice(0, -1);
}

/** JSON has no bytes: they are written as base64, which the formats take in their place. */
function textual(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}
