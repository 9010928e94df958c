import type { ContextEngine, Message } from '../../../src/index.ts';

const PAGE = 1000;

/** All messages of a session after a seq, oldest first. */
export async function allMessages(engine: ContextEngine, session: string, after = 0): Promise<Message[]> {
  const all: Message[] = [];
  for (;;) {
    const page = await engine.messages.list(session, { after: all.at(-1)?.seq ?? after, limit: PAGE });
    all.push(...page);
    if (page.length < PAGE) return all;
  }
}
