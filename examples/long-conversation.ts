/**
 * A conversation that outgrows its window is compacted by itself: what is behind becomes a summary, in one step, and
 * between two steps each window begins with all of the one before it, so that a prompt cache keeps hitting.
 * Run it: npx node examples/long-conversation.ts
 */
import { ContextEngine } from '../src/index.ts'; // in your project: from 'holdfast'

await using engine = await ContextEngine.open('memory:', {
  // A chat lets it run in the background, which is the default. Here each window shows what came of it.
  compaction: { background: false },
});
// What is recalled would change with each question: it is left out, to show the rest.
const options = { maxTokens: 800, recall: false };
const session = engine.session('move');
await session.create({ userId: 'jon' });
await session.messages.append({ role: 'system', content: 'You help with moving house. Be brief.' });

let prefix = '';
let steps = 0;
for (let box = 1; box <= 40; box++) {
  await session.messages.append([
    {
      role: 'user',
      content: `Box ${box} holds my ${box % 2 ? 'books' : 'plates'}, it goes to shelf ${box * 3}.`,
    },
    {
      role: 'assistant',
      content: 'Noted. That is a good place for it, I would say, and easy to reach later on.',
    },
  ]);
  const window = await session.window.build(options);
  if (prefix !== '' && prefix !== window.prefixHash) steps++;
  prefix = window.prefixHash;
}

for (const {
  id,
  fromSeq,
  uptoSeq,
  strategy,
  tokensBefore,
  tokensAfter,
} of await session.window.compactions()) {
  console.log(
    `compaction ${id}: messages ${fromSeq} to ${uptoSeq}, ${tokensBefore} → ${tokensAfter} tokens, ${strategy}`,
  );
}
const { sections, tokens } = await session.window.build(options);
for (const { name, items, tokens: cost } of sections)
  console.log(`${name}: ${items.length} messages, ${cost} tokens`);
console.log(`${tokens} tokens; the beginning of the window changed ${steps} times in 40 turns`);

// The log was not changed, and the newest compaction can be taken back.
const { messageCount } = await session.get();
const undone = await session.window.undo();
console.log(`${messageCount} messages kept; compaction ${undone.id} was taken back`);
