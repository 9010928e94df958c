/** A process that calls a limited tool so many times, and prints how often it may: `node caller.ts URL CALLS LIMIT`. */
import { ContextEngine, defineTool } from '../../../src/index.ts';

const [url, calls, limit] = process.argv.slice(2);
await using engine = await ContextEngine.open(url, { maintenanceIntervalMs: 0, durability: 'normal' });
engine.tools.register(
  defineTool({
    name: 'send',
    description: 'Sends a letter.',
    input: { type: 'object' },
    rateLimit: { calls: Number(limit), perMs: 2 ** 31 - 1 },
    execute: () => 'sent',
  }),
);
let sent = 0;
for (let i = 0; i < Number(calls); i++) if ((await engine.tools.execute('send')).success) sent++;
process.stdout.write(String(sent));
