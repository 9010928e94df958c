import type { ContextEngine } from '../core/engine.ts';
import { isHoldfastError } from '../core/errors.ts';
import type { ContextWindow, Recalled } from '../core/model/window.ts';
import { contentText } from './render-message.ts';

/** One of the messages and memories that a window tells again. */
export interface RecalledText {
  /** Absent for a memory. */
  seq?: number;
  /** A message's role, or `memory`. */
  role: string;
  /** The whole of it, as it is now; the window may tell a part. */
  text: string;
}

/** Reads what a window recalls, in its order: the window itself has it as one text, and says only where it is from. */
export async function readRecalled(
  engine: ContextEngine,
  sessionId: string,
  { sections }: Pick<ContextWindow, 'sections'>,
  options: { channel?: string },
): Promise<RecalledText[]> {
  const recalled = sections.flatMap(({ items }) => items.flatMap(({ recalled = [] }) => recalled));
  const read = async (one: Recalled): Promise<RecalledText> => {
    if ('memoryId' in one) {
      const { content } = await engine.memory.get(one.memoryId, { sessionId });
      return { role: 'memory', text: content };
    }
    const { seq, role, content } = await engine.messages.get(sessionId, `@${one.seq}`, options);
    return { seq, role, text: contentText(content) };
  };
  return Promise.all(recalled.map((one) => read(one).catch((error) => takenAway(error, one))));
}

/** Somebody deleted it a moment ago. */
function takenAway(error: unknown, one: Recalled): RecalledText {
  if (!isHoldfastError(error) || error.code !== 'not-found') throw error;
  const text = '(taken away meanwhile)';
  return 'seq' in one ? { seq: one.seq, role: '', text } : { role: 'memory', text };
}
