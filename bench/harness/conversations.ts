/** What `--data` takes: long conversations with questions, and the turns that answer them marked. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { ContextEngine, MessageInput } from '../../src/index.ts';
import type { Context } from './types.ts';
import { UsageError } from './usage.ts';

/** Times are those of sittings: within one, turns follow each other at this distance. */
const TURN_MS = 20_000;
const MONTHS = 'january february march april may june july august september october november december'.split(
  ' ',
);

export interface Turn {
  /** Its mark, which evidence names. */
  id: string;
  speaker: string;
  text: string;
  /** What a picture that came with it shows. */
  caption?: string;
  /** What was searched for to find that picture. */
  imageQuery?: string;
  /** The number of the sitting that it belongs to. */
  sitting: number;
  /** Epoch milliseconds. */
  createdAt: number;
}

export interface Question {
  text: string;
  answer: string;
  /** 1 to 4; 5 asks for what was never said. */
  category: number;
  /** Turns that answer it, at least one. */
  evidence: string[];
}

export interface Conversation {
  id: string;
  speakers: string[];
  /** In the order in which they were said. */
  turns: Turn[];
  questions: Question[];
}

const optional = z.string().nullish();
const turnSchema = z.object({
  id: z.string(),
  speaker: z.string(),
  text: z.string(),
  caption: optional,
  imgQuery: optional,
});
const conversationSchema = z.object({
  id: z.string(),
  speakers: z.array(z.string()).min(1),
  sessions: z.array(z.object({ n: z.int(), date: z.string().transform(toTime), turns: z.array(turnSchema) })),
  qa: z.array(
    z.object({
      q: z.string(),
      a: z.union([z.string(), z.number()]).nullish(),
      cat: z.int(),
      ev: z.array(z.string()),
    }),
  ),
});
const fileSchema = z.array(conversationSchema).min(1);

/** The conversations of the file that `--data` names. @throws UsageError */
export async function readConversations({ data }: Pick<Context, 'data'>): Promise<Conversation[]> {
  if (data === undefined) {
    const format = '[{id, speakers, sessions: [{n, date, turns}], qa: [{q, a, cat, ev}]}]';
    throw new UsageError(`This needs conversations: --data FILE, as JSON ${format}.`);
  }
  const text = await readFile(data, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`--data ${data} can't be read: ${error.code}.`);
  });
  const parsed = fileSchema.safeParse(parseJson(text));
  if (parsed.success) return parsed.data.map(toConversation);
  const { path, message } = parsed.error.issues[0]!;
  throw new UsageError(
    `--data ${data} is not a file of conversations: ${path.join('.') || 'root'}: ${message}.`,
  );
}

/** Adds a conversation to the engine as a session of its own, and gives the session's id. */
export async function addConversation(
  engine: ContextEngine,
  { turns, ...conversation }: Conversation,
): Promise<string> {
  const id = await addSession(engine);
  await engine.messages.append(
    id,
    turns.map((turn) => toMessage(conversation, turn)),
  );
  return id;
}

/** A session for a conversation: its id is new, so that a store that is kept can be measured again. */
export async function addSession(engine: ContextEngine): Promise<string> {
  const id = randomUUID();
  await engine.sessions.create({ id, userId: id });
  return id;
}

/** A turn as a message: who spoke first is the user, everybody else an assistant. */
export function toMessage({ speakers }: Pick<Conversation, 'speakers'>, turn: Turn): MessageInput {
  const { id, speaker, text, caption, imageQuery, createdAt } = turn;
  return {
    role: speaker === speakers[0] ? 'user' : 'assistant',
    name: speaker,
    content: text,
    createdAt,
    metadata: { turn: id, ...(caption && { caption }), ...(imageQuery && { imageQuery }) },
  };
}

function toConversation({ id, speakers, sessions, qa }: z.infer<typeof conversationSchema>): Conversation {
  const turns = sessions.flatMap(({ n, date, turns }) =>
    turns.map(({ id, speaker, text, caption, imgQuery }, i): Turn => {
      const createdAt = date + i * TURN_MS;
      const picture = { ...(caption && { caption }), ...(imgQuery && { imageQuery: imgQuery }) };
      return { id, speaker, text, ...picture, sitting: n, createdAt };
    }),
  );
  const said = new Set(turns.map((turn) => turn.id));
  const questions = qa.flatMap(({ q, a, cat, ev }): Question[] => {
    // Marks that name no turn can't be found by anybody.
    const evidence = [...new Set(ev)].filter((turn) => said.has(turn));
    return evidence.length > 0 ? [{ text: q, answer: String(a ?? ''), category: cat, evidence }] : [];
  });
  return { id, speakers, turns, questions };
}

/** `1:56 pm on 8 May, 2023`, as if it had been in UTC. */
function toTime(date: string, context: z.RefinementCtx): number {
  const [, hour, minute, half, day, month, year] =
    /^(\d+):(\d+) ([ap]m) on (\d+) ([a-z]+),? (\d+)$/i.exec(date.trim()) ?? [];
  const index = MONTHS.indexOf(month?.toLowerCase() ?? '');
  if (index >= 0)
    return Date.UTC(
      Number(year),
      index,
      Number(day),
      (Number(hour) % 12) + (half!.toLowerCase() === 'pm' ? 12 : 0),
      Number(minute),
    );
  context.addIssue({ code: 'custom', message: 'not a date like 1:56 pm on 8 May, 2023' });
  return z.NEVER;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
