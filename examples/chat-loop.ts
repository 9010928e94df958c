/**
 * A chat loop with a token budget. Every message is kept; the model is given only the window that fits.
 * Run it: npx node examples/chat-loop.ts
 */
import { ContextEngine } from '../src/index.ts'; // in your project: from 'holdfast'

const MAX_TOKENS = 160;
const questions = [
  'My name is Mara, and I am allergic to nuts. Remember that.',
  'What can I cook tonight with lentils and two carrots?',
  'How long do red lentils take, and do I have to soak them?',
  'I also have half a lemon. What is it good for?',
  'Can I keep the leftovers for lunch tomorrow?',
];

await using engine = await ContextEngine.open('memory:');
const session = engine.session('kitchen');
await session.create({ userId: 'mara' });
await session.messages.append({ role: 'system', content: 'You are a cook. Answer in a sentence or two.' });

for (const [turn, content] of questions.entries()) {
  // What the user said first has to be in every window, however long the conversation gets.
  await session.messages.append({ role: 'user', content, pinned: turn === 0 });

  const window = await session.window.build({ maxTokens: MAX_TOKENS, replyTokens: 40, as: 'openai' });
  const reply = await model(window.messages);
  await session.messages.append({ role: 'assistant', content: reply.text });
  // What the provider really counted corrects the next window's estimate.
  await session.window.reportUsage(reply.usage);

  const out = window.leftOut.reduce((sum, stretch) => sum + stretch.count, 0);
  console.log(`turn ${turn + 1}: ${window.messages.length} messages in the window, ${out} left out`);
}

const last = await session.window.build({ maxTokens: MAX_TOKENS, replyTokens: 40 });
for (const { name, items, tokens } of last.sections) {
  console.log(
    `${name.padEnd(7)} ${String(tokens).padStart(3)} tokens: seq ${items.map(({ seq }) => seq).join(', ')}`,
  );
}
const { messageCount } = await session.get();
const { calls, inputTokens } = await session.window.usage();
console.log(`${messageCount} messages kept; ${calls} calls took ${inputTokens} tokens of input`);

/** Stands for a model: answers at length, and counts what it was given in its own way. */
async function model(messages: readonly { content?: unknown }[]) {
  const text =
    `Here is a thought on that. ${'Take your time with it, and taste as you go. '.repeat(2)}`.trim();
  const inputTokens = Math.ceil(JSON.stringify(messages).length / 4);
  return { text, usage: { inputTokens, outputTokens: Math.ceil(text.length / 4) } };
}
