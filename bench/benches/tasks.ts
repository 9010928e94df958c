import { taskContext } from '../../src/index.ts';
import { median } from '../harness/rounds.ts';
import type { Bench, Row } from '../harness/types.ts';

/** So many updates in all, and a tenth of it: what is linear takes ten times as long. */
const MANY = 1_000_000;
const FEW = MANY / 10;
const ROUNDS = 3;
/** Characters of data that are left. */
const MAX_SIZE = 10_000;
/** Every fifth update repeats an earlier one. */
const data = (i: number) => `step ${i % 5 === 0 ? i % 1000 : i} of the task is done`;

interface Floor {
  timestamp: number;
  updateType: string;
  data: string;
  metadata: Record<string, never>;
}

/** A context with so many updates, and how long it took to track them. */
function tracked(count: number, options = {}) {
  const task = taskContext({}, options);
  const start = performance.now();
  for (let i = 0; i < count; i++) task.addUpdate('message', data(i));
  return { task, ms: performance.now() - start };
}

/** What it takes to put as many objects into an array. */
function pushed(count: number): number {
  const list: Floor[] = [];
  const start = performance.now();
  for (let i = 0; i < count; i++)
    list.push({ timestamp: Date.now(), updateType: 'message', data: data(i), metadata: {} });
  return performance.now() - start + (list.length === count ? 0 : Number.NaN);
}

/** How long a context with so many updates takes to be optimised. */
function optimized(count: number, maxSize = MAX_SIZE): number {
  const { task } = tracked(count);
  const start = performance.now();
  const removed = task.optimize(maxSize);
  const ms = performance.now() - start;
  return removed && task.size <= maxSize ? ms : Number.NaN;
}

/** Room for all: only repeats are removed. */
const ROOM = Number.MAX_SAFE_INTEGER;

/** The most that a context holds whose size is bounded: characters, and heap beyond what was there before. */
function bounded(): { ms: number; size: number; heapMib: number } {
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const { task, ms } = tracked(FEW, { autoOptimize: true, maxSize: MAX_SIZE });
  let size = task.size;
  const start = performance.now();
  for (let i = FEW; i < MANY; i++) {
    task.addUpdate('message', data(i));
    size = Math.max(size, task.size);
  }
  const total = ms + performance.now() - start;
  globalThis.gc?.();
  return { ms: total, size, heapMib: (process.memoryUsage().heapUsed - before) / 2 ** 20 };
}

export default {
  name: 'tasks',
  summary: `${MANY.toLocaleString('en')} updates of a task tracked and optimised, in memory; against a plain array push`,
  async run(context) {
    const figures = {
      floor: [],
      track: [],
      few: [],
      fewRepeats: [],
      manyRepeats: [],
      many: [],
      bounded: [],
      size: [],
      heap: [],
    } as Record<string, number[]>;
    for (let round = 0; round <= ROUNDS; round++) {
      context.progress(round, ROUNDS + 1, round === 0 ? 'warm-up' : `round ${round}`);
      const { ms, size, heapMib } = bounded();
      // Several small ones, so that both times are long enough to be told apart.
      const few = median(Array.from({ length: 5 }, () => optimized(FEW)));
      const one = {
        floor: pushed(MANY),
        track: tracked(MANY).ms,
        few,
        many: optimized(MANY),
        fewRepeats: median(Array.from({ length: 3 }, () => optimized(FEW, ROOM))),
        manyRepeats: optimized(MANY, ROOM),
        bounded: ms,
        size,
        heap: heapMib,
      };
      if (round === 0) continue;
      for (const [name, value] of Object.entries(one)) figures[name]!.push(value);
    }
    context.progress(ROUNDS + 1, ROUNDS + 1, '');
    const of = (name: string) => median(figures[name]!);
    const ratio = (a: string, b: string) => median(figures[a]!.map((value, i) => value / figures[b]![i]!));
    const rows: Row[] = [
      { case: `array push, ${MANY} objects`, value: of('floor'), unit: 'ms' },
      {
        case: `addUpdate, ${MANY} updates`,
        value: of('track'),
        unit: 'ms',
        baseline: of('floor'),
        ratio: ratio('track', 'floor'),
      },
      { case: `optimize, ${FEW} updates`, value: of('few'), unit: 'ms' },
      {
        case: `optimize, ${MANY} updates, against a tenth`,
        value: of('many'),
        unit: 'ms',
        baseline: of('few'),
        ratio: ratio('many', 'few'),
        target: { atMost: 12 },
      },
      {
        case: `the same where all fit, and only repeats go`,
        value: of('manyRepeats'),
        unit: 'ms',
        baseline: of('fewRepeats'),
        ratio: ratio('manyRepeats', 'fewRepeats'),
        target: { atMost: 12 },
      },
      {
        case: `addUpdate with autoOptimize, ${MANY} updates`,
        value: of('bounded'),
        unit: 'ms',
        baseline: of('floor'),
        ratio: ratio('bounded', 'floor'),
      },
      {
        case: `most characters held with autoOptimize, maxSize ${MAX_SIZE}`,
        value: Math.max(...figures.size!),
        unit: 'characters',
        target: { atMost: MAX_SIZE },
      },
      { case: 'heap beyond the start after them', value: of('heap'), unit: 'MiB', target: { atMost: 32 } },
    ];
    return rows;
  },
} satisfies Bench;
