/**
 * A process that appends until it is killed: `node appender.ts URL SESSION WRITER`. It says `ready`, waits for a line, and
 * then writes `LANE NUMBER` for each message that was acknowledged, at once and unbuffered.
 */
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { ContextEngine } from '../../../src/index.ts';

/** Appends under way at a time: each lane waits for its own answers, so that its order is known. */
const LANES = 3;

const [url, session, writer] = process.argv.slice(2) as [string, string, string];
const engine = await ContextEngine.open(url, { maintenanceIntervalMs: 0 });
// It will not come to its end, where that is done by itself: the next one starts faster.
flushCompileCache();
// Whoever started it is gone.
process.stdin.on('end', () => process.exit());
writeSync(1, 'ready\n');
await new Promise((resolve) => process.stdin.once('data', resolve));
await Promise.all(Array.from({ length: LANES }, (_, lane) => appendFrom(`${writer}.${lane}`)));

async function appendFrom(lane: string): Promise<never> {
  for (let i = 0; ; i++) {
    await engine.messages.append(session, { role: 'user', content: `${lane} ${i}` });
    writeSync(1, `${lane} ${i}\n`);
  }
}
