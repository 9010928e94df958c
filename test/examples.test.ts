import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { filesIn, root } from './house/source.ts';
import { CONDITION_MS } from './support/patience.ts';

/** A line that each example prints when it has done what it is there to show. */
const lines: Record<string, RegExp> = {
  'batch-processing.ts': /^98 judged, 1 cancelled, 1 took too long$/m,
  'chat-loop.ts': /^11 messages kept; 5 calls took \d+ tokens of input$/m,
  'chatbot.ts': /^4 calls of the tool: 1 from the cache, 1 refused$/m,
  'data-pipeline.ts': /^31 kept, 5 dropped, 4 failed$/m,
  'document-processing.ts': /^2 model calls: 51 tokens in, 27 out$/m,
  'finding-again.ts': /^\d+ tokens; \d+ messages left out, 2 of the old ones told again$/m,
  'import-and-look.ts': /^0 new, 14 unchanged$/m,
  'long-conversation.ts': /^81 messages kept; compaction 3 was taken back$/m,
  'monitoring-loop.ts': /^done, with \d+ recommendations for health$/m,
  'remembering.ts': /^2 memories, 1 superseded$/m,
  'tool-chains.ts': /^the shops were asked 4 times, in 5 attempts$/m,
  'tool-agent.ts': /^going on after 2 messages$/m,
  'two-agents.ts': /^writer: The draft is done\.$/m,
};

test.for(filesIn('examples'))('the example %s runs to its end', (file) => {
  const run = spawnSync(process.execPath, [join(root, 'examples', file)], {
    encoding: 'utf8',
    timeout: CONDITION_MS,
  });
  expect(run.stderr).toBe('');
  expect(run.status).toBe(0);
  expect(run.stdout).toMatch(lines[file]!);
});
