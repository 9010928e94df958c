/**
 * Documents are read, each as a task: what was touched, which model was asked and what that cost is kept, and what was
 * held open is released, also where a document turns out to be unreadable.
 * Run it: npx node examples/document-processing.ts
 */
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ContextEngine, type TaskContext } from '../src/index.ts'; // in your project: from 'holdfast'

const folder = await mkdtemp(join(tmpdir(), 'holdfast-example-'));
await writeFile(join(folder, 'letter.txt'), 'Dear Ada, the boat leaves at nine.');
await writeFile(join(folder, 'list.txt'), 'rope, tea, a lamp');
await writeFile(join(folder, 'empty.txt'), '');

await using engine = await ContextEngine.open('memory:'); // or 'file:./agent.db'
await engine.sessions.create({ id: 'inbox', userId: 'ada' });

for (const name of ['letter.txt', 'list.txt', 'empty.txt']) {
  // The body's task is closed whatever happens: the file with it.
  const reading = engine.tasks.run({ sessionId: 'inbox', metadata: { name } }, (task) =>
    summarize(task, name),
  );
  console.log(name, '→', await reading.catch((error: Error) => `(${error.message})`));
}

const { tasks } = await engine.tasks.list({ sessionId: 'inbox' });
for (const { metadata, status, updates } of tasks.reverse())
  console.log(metadata.name, status, updates, 'updates');
const { calls, inputTokens, outputTokens } = await engine.tasks.usage({ sessionId: 'inbox' });
console.log(`${calls} model calls: ${inputTokens} tokens in, ${outputTokens} out`);
await rm(folder, { recursive: true });

async function summarize(task: TaskContext, name: string): Promise<string> {
  const path = join(folder, name);
  const file = task.addResource('file', await open(path));
  const text = await file.readFile('utf8');
  await task.trackFile(path, 'read');
  if (text === '') throw new Error('there is nothing in it');
  const summary = model(text);
  await task.trackModel('small', 'example', 'summary', {
    inputTokens: text.length,
    outputTokens: summary.length,
  });
  await task.addUpdate('message', { summary });
  return summary;
}

/** Stands for a model. */
function model(text: string): string {
  return `${text.split(/\s+/).slice(0, 3).join(' ')}…`;
}
