/** The peer of windows: LangChain's trimmer with its strategy `last`, the newest messages that fit. */
import type { Message } from '../../src/index.ts';
import type { Context } from './types.ts';

/** The newest of some messages that fit. They need their tokens counted. */
export type Trim = (history: readonly Message[], maxTokens: number) => Promise<Message[]>;

interface PeerMessage {
  readonly id: string;
}
/** What is used of `@langchain/core/messages`. */
interface LangChainMessages {
  trimMessages(history: PeerMessage[], options: Record<string, unknown>): Promise<PeerMessage[]>;
  HumanMessage: new (fields: { id: string; content: string }) => PeerMessage;
  AIMessage: new (fields: { id: string; content: string }) => PeerMessage;
}

/** LangChain's trimmer. It is given our counts, so that both cut by the same measure. */
export async function trimmer(context: Context): Promise<Trim> {
  const { trimMessages, HumanMessage, AIMessage } =
    await context.peer<LangChainMessages>('@langchain/core/messages');
  const peers = new Map<string, { peer: PeerMessage; message: Message }>();
  const peerOf = (message: Message) => {
    const known = peers.get(message.id);
    if (known) return known.peer;
    const fields = { id: message.id, content: textOf(message) };
    const peer = message.role === 'user' ? new HumanMessage(fields) : new AIMessage(fields);
    peers.set(message.id, { peer, message });
    return peer;
  };
  const tokenCounter = (some: readonly PeerMessage[]) =>
    some.reduce((sum, { id }) => sum + peers.get(id)!.message.tokens!, 0);
  return async (history, maxTokens) => {
    const options = { maxTokens, strategy: 'last', tokenCounter };
    const kept = await trimMessages(history.map(peerOf), options);
    return kept.map(({ id }) => peers.get(id)!.message);
  };
}

/** What a message says, without calls and pictures. */
export function textOf({ content }: Pick<Message, 'content'>): string {
  if (typeof content === 'string') return content;
  return content.map((part) => (part.type === 'text' ? part.text : '')).join('\n');
}
