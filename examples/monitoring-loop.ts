/**
 * A loop that looks after an agent: what it does and how fast, how healthy the whole is, and what would help. A check of
 * our own tells that the mail is away, and again that it is back.
 * Run it: npx node examples/monitoring-loop.ts
 */
import { ContextEngine } from '../src/index.ts'; // in your project: from 'holdfast'

let mailIsThere = true;
await using engine = await ContextEngine.open('memory:', { health: { betterAfter: 1 } });
engine.health.register('mail', () =>
  mailIsThere
    ? null
    : { status: 'degraded', message: 'the mail does not answer', hint: 'Look at the cable.' },
);
engine.health.onChange((now, before) => {
  console.log(`! ${before ?? 'healthy'} → ${now.status}: ${now.reasons.join('; ') || 'all is well'}`);
});

const session = engine.session('watched');
await session.create({ userId: 'ada' });

for (let round = 1; round <= 3; round++) {
  mailIsThere = round !== 2;
  await work(100);

  const { status } = await engine.health.check();
  const { totals, calls, operations, health, recommendations } = await engine.monitor.snapshot();
  console.log(`round ${round}: ${status}, score ${health.score > 50 ? 'above' : 'below'} 50`);
  console.log(`  ${totals?.messages} messages; append was called ${calls['messages.append']?.count} times`);
  const { count = 0, outcomes = {} } = operations.work ?? {};
  console.log(`  work was timed ${count} times, and went well ${outcomes.ok} times`);
  for (const { setting, advice } of recommendations) console.log(`  ${setting}: ${advice}`);
}

const { recommendations } = await engine.health.diagnose();
console.log(`done, with ${recommendations.length} recommendations for health`);

/** What the agent does, timed. */
async function work(times: number): Promise<void> {
  using timer = engine.monitor.operationTimer('work');
  try {
    for (let i = 0; i < times; i++) await session.messages.append({ role: 'user', content: `note ${i}` });
    if (!mailIsThere) throw new Error('no mail');
  } catch (error) {
    timer.fail(error);
  }
}
