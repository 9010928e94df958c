/** Waits with a task open for a signal; says what is released. */
import { taskContext } from '../../../src/index.ts';

const task = taskContext({ id: 'told' }, { taskDir: process.argv[2]!, releaseOnSignals: true });
task.addResource('slow', {
  close: async () => {
    await new Promise((done) => setImmediate(done));
    process.stdout.write('released\n');
  },
});
if (process.argv[3] === 'heard') process.on('SIGTERM', () => process.stdout.write('heard\n'));
task.addUpdate('message', 'before');
process.stdout.write('ready\n');
const alive = setInterval(() => {}, 1000);
if (process.argv[3] === 'heard')
  process.stdin.on('end', () => {
    clearInterval(alive);
    process.stdout.write(`left ${process.listenerCount('SIGTERM')}\n`);
  });
if (process.argv[3] === 'heard') process.stdin.resume();
