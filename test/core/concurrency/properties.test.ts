import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ConcurrencyController } from '../../../src/core/concurrency/controller.ts';

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ op: fc.constant('submit' as const), priority: fc.integer({ min: -2, max: 2 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant('end' as const), which: fc.nat(5), fails: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('cancel' as const), which: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constantFrom('pause' as const, 'resume' as const) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('settle' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Job {
  id: string;
  priority: number;
  isQueued: boolean;
  /** How often those who waited heard of its end. */
  ends: number;
  end?: (fails: boolean) => void;
}

const settle = () => new Promise((done) => setImmediate(done));

/** What should be so, beside a controller. */
class World {
  readonly controller: ConcurrencyController;
  readonly #maxConcurrent: number;
  readonly #jobs: Job[] = [];
  readonly #running = new Set<Job>();
  readonly #problems: string[] = [];
  #refused = 0;

  constructor(maxConcurrent: number, maxQueued: number) {
    this.#maxConcurrent = maxConcurrent;
    this.controller = new ConcurrencyController({ maxConcurrent, maxQueued, graceMs: 60_000 });
  }

  async do(step: Step): Promise<void> {
    if (step.op === 'submit') await this.#submit(step.priority);
    else if (step.op === 'end') [...this.#running][step.which]?.end?.(step.fails);
    else if (step.op === 'cancel') await this.#cancel(this.#jobs[step.which]);
    else if (step.op === 'settle') await settle();
    else this.controller[step.op]();
  }

  /** Ends whatever runs until the controller is closed. */
  async close(): Promise<void> {
    let isClosed = false;
    const closing = this.controller.close().then(() => {
      isClosed = true;
    });
    while (!isClosed) {
      for (const job of this.#running) job.end?.(false);
      await settle();
    }
    await closing;
  }

  check(): void {
    const { completed, failed, cancelled, timedOut, ...rest } = this.controller.stats();
    expect(rest).toMatchObject({ running: 0, queued: 0, lingering: 0, refused: this.#refused });
    expect(completed + failed + cancelled + timedOut).toBe(this.#jobs.length);
    expect(this.#jobs.filter(({ ends }) => ends !== 1)).toEqual([]);
    expect(this.#problems).toEqual([]);
  }

  async #submit(priority: number): Promise<void> {
    const job: Job = { id: `${this.#jobs.length}`, priority, isQueued: true, ends: 0 };
    try {
      await this.controller.submit(job.id, () => this.#run(job), { priority });
    } catch {
      this.#refused++;
      return;
    }
    this.#jobs.push(job);
    const hear = () => void job.ends++;
    this.controller.wait(job.id).then(hear, hear);
  }

  #run(job: Job): Promise<void> {
    job.isQueued = false;
    this.#running.add(job);
    if (this.#running.size > this.#maxConcurrent) this.#problems.push(`${job.id} is one too many`);
    for (const { id, priority, isQueued } of this.#jobs) {
      const isFirst = priority > job.priority || (priority === job.priority && Number(id) < Number(job.id));
      if (isQueued && isFirst) this.#problems.push(`${job.id} started before ${id}`);
    }
    return new Promise((resolve, reject) => {
      job.end = (fails) => {
        this.#running.delete(job);
        if (fails) reject(new RangeError('made to fail'));
        else resolve();
      };
    });
  }

  /** A queued one never starts; the function of a running one goes on until it is told to end. */
  async #cancel(job: Job | undefined): Promise<void> {
    if (!job) return;
    const { isQueued, ends } = job;
    job.isQueued = false;
    const did = await this.controller.cancel(job.id);
    if (isQueued ? !did : ends > 0 && did) this.#problems.push(`${job.id}: cancelled ${did}`);
  }
}

test('never more run than may, the most urgent starts first, and each job ends exactly once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 1, max: 3 }),
      fc.nat(4),
      async (steps, maxConcurrent, maxQueued) => {
        const world = new World(maxConcurrent, maxQueued);
        for (const one of steps) {
          await world.do(one);
          const { running, queued, lingering } = world.controller.stats();
          expect(running + lingering).toBeLessThanOrEqual(maxConcurrent);
          expect(running + lingering + queued).toBeLessThanOrEqual(maxConcurrent + maxQueued);
        }
        await world.close();
        await settle();
        world.check();
      },
    ),
    { numRuns: 500 },
  );
});
