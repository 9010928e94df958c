/**
 * A chatbot with a tool: each turn is a task, the window fits the budget, the tool is called through the engine, which
 * checks the input, caches the result and writes down in the task that there was a call.
 * Run it: npx node examples/chatbot.ts
 */
import { z } from 'zod';
import { ContextEngine, defineTool } from '../src/index.ts'; // in your project: from 'holdfast'

await using engine = await ContextEngine.open('memory:'); // or 'file:./agent.db', which is there tomorrow
engine.tools.register(
  defineTool({
    name: 'weather',
    description: 'The weather in a city',
    input: z.object({ city: z.string().min(1) }),
    cache: { ttlMs: 60_000 },
    execute: ({ city }) => ({ city, celsius: city.length }),
  }),
);

const session = engine.session('chat');
await session.create({ userId: 'mara' });
await session.messages.append({ role: 'system', content: 'You know the weather.', pinned: true });

for (const question of ['How warm is Oslo?', 'And Bergen?', 'Oslo again, please.', 'And?']) {
  await using task = await engine.tasks.open({ sessionId: 'chat', userId: 'mara' });
  await session.messages.append({ role: 'user', content: question });
  const window = await session.window.build({ maxTokens: 1000 });

  const asked = model(String(window.messages.at(-1)!.content));
  const called = await engine.tools.execute('weather', asked, { sessionId: 'chat', userId: 'mara', task });
  await task.trackModel('tiny', 'example', 'chat', { inputTokens: window.tokens, outputTokens: 12 });

  const reply = called.success
    ? `It is ${(called.result as { celsius: number }).celsius} degrees.${called.cached ? ' As I said.' : ''}`
    : `Which city do you mean? (${called.error.code})`;
  await session.messages.append({ role: 'assistant', content: reply });
  console.log(`${question} → ${reply}`);
}

const { items } = await engine.tasks.timeline('chat', { limit: 100 });
const happened = items.map((item) => (item.kind === 'message' ? item.message.role : item.update.updateType));
console.log(happened.join(', '));
const { calls, cached, failed } = engine.tools.stats('weather');
console.log(`${calls} calls of the tool: ${cached} from the cache, ${failed} refused`);

/** Stands for a model that decides how to call the tool. */
function model(question: string): { city: string } {
  const [city = ''] = /Oslo|Bergen/.exec(question) ?? [];
  return { city };
}
