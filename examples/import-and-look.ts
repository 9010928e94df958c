/**
 * Imports conversations with the program `holdfast`, and looks at what a model would be given of one of them.
 * Run it: npx node examples/import-and-look.ts
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ContextEngine } from '../src/index.ts'; // in your project: from 'holdfast'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-example-'));
const store = `file:${join(folder, 'imported.db')}`;
const conversations = join(import.meta.dirname, 'conversations.jsonl');

holdfast('import', conversations);
// Nothing is doubled: what is there already is known by its content.
holdfast('import', conversations);
holdfast(
  'window',
  'bicycle-shop',
  '--max-tokens',
  '230',
  '--query',
  'When does my order arrive?',
  '--explain',
);

// The library sees the same sessions.
const engine = await ContextEngine.open(store);
for (const { id, messageCount } of (await engine.sessions.list()).sessions) {
  const [newest] = await engine.messages.list(id, { limit: 1 });
  console.log(`${id}: ${messageCount} messages, the newest from the ${newest!.role}`);
}
await engine.close();
rmSync(folder, { recursive: true });

/** In your project: npx holdfast … */
function holdfast(...args: string[]): void {
  const program = join(import.meta.dirname, '../src/cli/main.ts');
  console.log(
    `$ holdfast ${args.map((arg) => (arg === conversations ? 'conversations.jsonl' : arg)).join(' ')}`,
  );
  const run = spawnSync(process.execPath, [program, ...args, '--store', store, '--no-color'], {
    encoding: 'utf8',
  });
  console.log(run.stdout + run.stderr);
  if (run.status !== 0) process.exit(1);
}
