/**
 * A process that races with others: `node racer.ts URL SESSION WRITER COUNTS`, where COUNTS says how much to do of each
 * kind. It says `ready`, waits for a line, does it all, and answers with a hash of the order of messages that it sees.
 */
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { ContextEngine } from '../../../src/index.ts';
import type { RaceCounts } from '../races.ts';
import { allMessages } from './read.ts';

const [url, session, writer, counts] = process.argv.slice(2) as [string, string, string, string];
const { increments, merges, appends, total } = JSON.parse(counts) as RaceCounts;
await using engine = await ContextEngine.open(url, { maintenanceIntervalMs: 0 });
const line = async () => new Promise((resolve) => process.stdin.once('data', resolve));

writeSync(1, 'ready\n');
await line();
await Promise.all([
  // All at once, as a busy server would; appends of one writer one after the other, so that their order is known.
  ...Array.from({ length: increments }, () => engine.sessions.update(session, { incrementRequests: 1 })),
  ...Array.from({ length: merges }, (_, i) =>
    engine.state.merge(session, { shared: { [writer]: { [`key${i}`]: i } } }),
  ),
  (async () => {
    for (let i = 0; i < appends; i++) {
      await engine.messages.append(session, { role: 'user', content: `${writer} ${i}` });
    }
  })(),
]);
writeSync(1, 'done\n');
await line();
const seen = (await allMessages(engine, session)).map(({ seq, content }) => `${seq} ${content}`);
writeSync(
  1,
  `${seen.length === total ? createHash('sha256').update(seen.join('\n')).digest('hex') : seen.length}\n`,
);
process.stdin.destroy();
