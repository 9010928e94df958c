/**
 * Finds what was said long ago: by a search, and by windows that recall it by themselves.
 * Run it: npx node examples/finding-again.ts
 */
import { ContextEngine } from '../src/index.ts'; // in your project: from 'holdfast'

await using engine = await ContextEngine.open('memory:');
const session = engine.session('house');
await session.create({ userId: 'mara' });
await session.messages.append([
  { role: 'system', content: 'You help with an old house.' },
  { role: 'user', content: 'What did the roofer say about the chimney?' },
  { role: 'assistant', content: 'He wants 840 euros, and could begin on the third of March.' },
]);
// Then much else is talked about.
const rooms = ['kitchen', 'cellar', 'attic', 'hall', 'bathroom', 'workshop'];
for (const room of rooms.flatMap((name) => [name, `${name} floor`, `${name} window`])) {
  await session.messages.append([
    { role: 'user', content: `What colour would suit the ${room}? I like it warm and quiet.` },
    {
      role: 'assistant',
      content: `A broken white, I would say, and for the ${room} something that can be washed.`,
    },
  ]);
}

// Searching: an answer is found by the question before it, and each hit says what its score is made of.
const { hits } = await engine.messages.search('roofer chimney', { userId: 'mara', limit: 2 });
for (const { message, why } of hits) {
  console.log(`${message.seq} ${message.role}: ${message.content}`, Object.keys(why.terms));
}

// Recalling: the last turn is the question, and what answers it stands before it in the window.
await session.messages.append({ role: 'user', content: 'How much did the roofer want for the chimney?' });
const window = await session.window.build({ maxTokens: 300, as: 'openai' });
for (const message of window.messages.slice(-2)) console.log(message);

const recalled = window.sections.find(({ name }) => name === 'recalled')?.items[0];
const out = window.leftOut.reduce((sum, stretch) => sum + stretch.count, 0);
console.log(
  `${window.tokens} tokens; ${out} messages left out, ${recalled?.recalled?.length} of the old ones told again`,
);
