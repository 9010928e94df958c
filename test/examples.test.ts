import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { filesIn, root } from './house/source.ts';

/** A line that each example prints when it has done what it is there to show. */
const lines: Record<string, RegExp> = {
  'chat-loop.ts': /^11 messages kept; 5 calls took \d+ tokens of input$/m,
  'finding-again.ts': /^\d+ tokens; \d+ messages left out, 2 of the old ones told again$/m,
  'import-and-look.ts': /^0 new, 14 unchanged$/m,
  'long-conversation.ts': /^81 messages kept; compaction 3 was taken back$/m,
  'remembering.ts': /^2 memories, 1 superseded$/m,
  'tool-agent.ts': /^going on after 2 messages$/m,
  'two-agents.ts': /^writer: The draft is done\.$/m,
};

test.for(filesIn('examples'))('the example %s runs to its end', (file) => {
  const run = spawnSync(process.execPath, [join(root, 'examples', file)], {
    encoding: 'utf8',
    timeout: 25_000,
  });
  expect(run.stderr).toBe('');
  expect(run.status).toBe(0);
  expect(run.stdout).toMatch(lines[file]!);
});
