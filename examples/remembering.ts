/**
 * An agent that knows its user again: what it learned in one conversation is there in the next.
 * Run it: npx node examples/remembering.ts
 */
import { ContextEngine } from '../src/index.ts'; // in your project: from 'holdfast'

await using engine = await ContextEngine.open('memory:'); // or 'file:./agent.db', which is there tomorrow

// On Monday.
const monday = engine.session('monday');
await monday.create({ userId: 'mara' });
await monday.messages.append({ role: 'user', content: 'I ride a red bicycle, and I live in Oslo.' });
await monday.memory.add({
  content: 'Mara rides a red bicycle',
  tags: ['bicycle'],
  sources: [{ sessionId: 'monday', seq: 1 }],
});
await monday.memory.add({ content: 'Mara lives in Oslo', importance: 0.8 });

// On Friday: the same thing again changes nothing, and what no longer holds is superseded.
const friday = engine.session('friday');
await friday.create({ userId: 'mara' });
const again = await friday.memory.add({ content: 'Mara rides a red bicycle.' });
const moved = await friday.memory.add({ content: 'Mara has moved to Bergen', importance: 0.8 });
console.log('known already:', again.merged, '· supersedes', moved.supersedes.length);

for (const question of ['Where does Mara live?', 'What does she ride?']) {
  const { hits } = await friday.memory.search(question, { limit: 1 });
  console.log(question, '→', hits[0]?.memory.content);
}

const { count, superseded } = await engine.memory.stats({ userId: 'mara' });
console.log(`${count} memories, ${superseded} superseded`);
