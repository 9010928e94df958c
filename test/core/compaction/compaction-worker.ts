/** A process that compacts the session `s` when it is told to, as often as it is told. */
import { ContextEngine } from '../../../src/index.ts';

const engine = await ContextEngine.open(process.argv[2]!, {
  durability: 'normal',
  maintenanceIntervalMs: 0,
  compaction: { autoCompact: false },
});

process.on('message', async (times: number) => {
  const made: string[] = [];
  for (let i = 0; i < times; i++) {
    const options = { strategy: 'extractive', targetTokens: 600 } as const;
    const { compaction } = await engine.window.compact('s', options);
    if (compaction) made.push(compaction.id);
  }
  process.send!({ made });
});
process.send!({ made: [] });
