/** Adds updates to a task for as long as it lives, and prints the number of each that is durable. */
import { ContextEngine, taskContext } from '../../../src/index.ts';

const [kind, place] = process.argv.slice(2) as ['engine' | 'file', string];
const task =
  kind === 'file'
    ? taskContext({ id: 'killed' }, { taskDir: place })
    : await (await ContextEngine.open(`file:${place}`)).tasks.open({ id: 'killed', chatId: 's' });
for (let i = 0; ; i++) {
  await task.addUpdate('message', i);
  await task.trackModel('m', 'acme', 'chat', { inputTokens: 1 });
  process.stdout.write(`${i}\n`);
}
