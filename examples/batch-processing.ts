/**
 * A hundred reviews are judged in the background, eight at a time, while the program goes on. One takes too long, one is
 * cancelled, and the batch ends all the same.
 * Run it: npx node examples/batch-processing.ts
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ContextEngine, defineTool } from '../src/index.ts'; // in your project: from 'holdfast'

await using engine = await ContextEngine.open('memory:', { concurrency: { maxConcurrent: 8 } });
await engine.sessions.create({ id: 'reviews', userId: 'ada' });
engine.tools.register(
  defineTool({
    name: 'judge',
    description: 'Whether a review is kind',
    input: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
    execute: ({ text }) => (String(text).includes('good') ? 'kind' : 'unkind'),
  }),
);

const task = await engine.tasks.open({ sessionId: 'reviews', metadata: { batch: 1 }, autoOptimize: true });
const ids: string[] = [];
for (let i = 1; i <= 100; i++) {
  const timeoutMs = i === 13 ? 20 : 10_000; // number 13 never ends
  const options = { timeoutMs, kind: 'reviews' };
  ids.push(await engine.concurrency.submit(`review-${i}`, ({ signal }) => judge(i, signal), options));
}
await engine.concurrency.cancel('review-100');
console.log('submitted; meanwhile other things can be done');

const ended = await Promise.allSettled(ids.map((id) => engine.concurrency.wait(id)));
const verdicts = ended.flatMap((job) => (job.status === 'fulfilled' ? [job.value] : []));
const { completed, cancelled, timedOut } = engine.concurrency.stats().kinds.reviews!;
console.log(`${completed} judged, ${cancelled} cancelled, ${timedOut} took too long`);
console.log(`${verdicts.filter((verdict) => verdict === 'kind').length} of them are kind`);
await task.addUpdate('message', { completed, cancelled, timedOut });
await task.close();
console.log(`the task took note of ${task.history.length} things it still remembers`);

async function judge(number: number, signal: AbortSignal): Promise<unknown> {
  if (number === 13) await sleep(60_000, undefined, { signal });
  const text = `Review ${number}: this was ${number % 2 ? 'good' : 'bad'}.`;
  const { result } = await engine.tools.execute('judge', { text }, { signal, task });
  return result;
}
