/**
 * Readings go through three stages, so many at a time: fetched, cleaned, stored. A stage that is full holds up the one
 * before it, and what is urgent overtakes.
 * Run it: npx node examples/data-pipeline.ts
 */
import { setImmediate as later } from 'node:timers/promises';
import { ContextEngine } from '../src/index.ts'; // in your project: from 'holdfast'

type Reading = { station: number; celsius: number };

await using engine = await ContextEngine.open('memory:');
await engine.sessions.create({ id: 'stations', userId: 'ada' });
const task = await engine.tasks.open({ sessionId: 'stations', metadata: { pipeline: 'weather' } });
// Each stage has slots of its own; what does not fit waits for room.
const fetching = engine.concurrency.pool({ maxConcurrent: 4, maxQueued: 8 });
const storing = engine.concurrency.pool({ maxConcurrent: 2, maxQueued: 4 });

const asked: number[] = [];
let kept = 0;
let dropped = 0;
const stations = Array.from({ length: 40 }, (_, i) => i + 1);
const done = await Promise.allSettled(
  stations.map(async (station) => {
    const priority = station === 40 ? 'high' : 'normal'; // the one at the harbour
    const raw = await fetching.run(() => fetchReading(station), { priority, waitForRoom: true });
    const clean = cleaned(raw);
    if (!clean) return void dropped++;
    await storing.run(() => engine.state.set('stations', `station-${station}`, clean), { waitForRoom: true });
    kept++;
  }),
);

const failed = done.filter(({ status }) => status === 'rejected').length;
await task.addUpdate('message', { kept, dropped, failed });
console.log('fetching', fetching.stats().completed, 'done,', fetching.stats().failed, 'failed');
console.log('storing ', storing.stats().completed, 'done');
console.log(`the last of all stations was asked as number ${asked.indexOf(40) + 1}, since it is urgent`);
console.log(`${kept} kept, ${dropped} dropped, ${failed} failed`);
await task.close();

/** Stands for a request; a station in ten does not answer. */
async function fetchReading(station: number): Promise<Reading> {
  asked.push(station);
  await later();
  if (station % 10 === 7) throw new Error(`station ${station} does not answer`);
  return { station, celsius: station % 8 === 0 ? 999 : station / 2 };
}

/** What can't be is left out. */
function cleaned(reading: Reading): Reading | undefined {
  return reading.celsius < 60 ? reading : undefined;
}
