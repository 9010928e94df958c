/** Writers that go on while their store comes and goes. */
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { StoreUnavailableError } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { Records } from '../../src/core/records.ts';
import { applyPatch } from '../../src/core/state/merge.ts';
import { type FallbackStore, withFallback } from '../../src/stores/fallback/index.ts';
import { MemoryStore } from '../../src/stores/memory/index.ts';
import {
  account,
  appendOf,
  lasting,
  type Mode,
  outagePlace,
  recordOf,
  session,
  valuesOf,
  Wire,
  write,
} from './outages.ts';

async function back(store: FallbackStore): Promise<void> {
  await vi.waitFor(() => expect(store.state).toBe('normal'), { interval: 2 });
}

test('keeps everything and its order through outages under constant load, and comes back in the middle of it', async () => {
  const { open, wire, target } = await outagePlace();
  const store = await open();
  const acknowledged = new Map<string, string[]>();
  let stop = false;
  const lane = async (name: string, id: string) => {
    const own = acknowledged.get(id) ?? [];
    acknowledged.set(id, own);
    for (let i = 0; !stop; i++) {
      await write(store, session(id), appendOf(`${name} ${i}`));
      own.push(`${name} ${i}`);
    }
  };
  // Four writers on one session, and each on some of its own.
  const lanes = [0, 1, 2, 3].flatMap((w) => [
    lane(`w${w}`, 'shared'),
    ...[0, 1, 2].map((i) => lane(`w${w}.${i}`, `${w}.${i}`)),
  ]);
  const more = async (count: number) => {
    const before = acknowledged.get('shared')!.length;
    await vi.waitFor(() => expect(acknowledged.get('shared')!.length).toBeGreaterThan(before + count), {
      interval: 2,
    });
  };
  await more(50);
  for (const mode of ['down', 'doubt', 'silent'] as const) {
    wire.mode = mode;
    await more(300);
    expect(store.state).toBe('degraded');
    wire.mode = 'up';
    await back(store);
    await more(50);
  }
  stop = true;
  await Promise.all(lanes);
  await back(store);
  for (const [id, own] of acknowledged) {
    const found = (await valuesOf(target, session(id))) as string[];
    expect(found.length).toBe(own.length);
    expect(account(own, found)).toEqual({ lost: 0, doubled: 0, misordered: 0 });
  }
  expect((await store.health()).facts).toMatchObject({ spooled: 0, rejected: 0 });
});

type Step =
  | { do: 'write'; writer: number; to: number; what: 'append' | 'add' | 'merge' }
  | { do: 'mode'; mode: Mode; after: number }
  | { do: 'rest'; ms: number }
  | { do: 'reopen' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      writer: fc.nat(3),
      to: fc.nat(2),
      what: fc.constantFrom('append', 'append', 'add', 'merge'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('mode' as const),
      mode: fc.constantFrom<Mode[]>('up', 'up', 'down', 'doubt', 'silent'),
      after: fc.nat(6),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('rest' as const), ms: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const) }) },
);

/** A store that comes and goes, and writers that each wait for one write before the next. */
class Outages {
  readonly target = new MemoryStore();
  readonly spool = new MemoryStore();
  readonly wire = new Wire();
  readonly acknowledged: string[][] = [[], [], []];
  readonly adds = [0, 0, 0];
  readonly merges: string[][] = [[], [], []];
  readonly #chains: Promise<void>[] = [];
  readonly #numbers = new Map<string, number>();
  store!: FallbackStore;

  async open(): Promise<void> {
    const source = async () => {
      if (this.wire.mode !== 'up') throw new StoreUnavailableError('away');
      return this.wire.before(lasting(this.target));
    };
    this.store = await withFallback(source, lasting(this.spool), {
      probeMs: 2,
      timeoutMs: 30,
      closeTimeoutMs: 30,
    });
  }

  async take(step: Step): Promise<void> {
    if (step.do === 'write') {
      const before = this.#chains[step.writer] ?? Promise.resolve();
      this.#chains[step.writer] = before.then(() => this.#write(step));
    } else if (step.do === 'mode') {
      const at = this.wire.commits + step.after;
      this.wire.onCommit = () => {
        if (this.wire.commits >= at) this.wire.mode = step.mode;
      };
      if (step.after === 0 || step.mode === 'up') this.wire.mode = step.mode;
    } else if (step.do === 'rest') await new Promise((resolve) => setTimeout(resolve, step.ms));
    else {
      await this.settled();
      await this.store.close();
      await this.open();
    }
  }

  async settled(): Promise<void> {
    await Promise.all(this.#chains);
  }

  async #write({ writer, to, what }: Step & { do: 'write' }): Promise<void> {
    const name = `${writer}.${to}.${what}`;
    const number = this.#numbers.get(name) ?? 0;
    this.#numbers.set(name, number + 1);
    const partition = session(`${to}`);
    if (what === 'append') {
      await write(this.store, partition, appendOf(`${name} ${number}`));
      this.acknowledged[to]!.push(`${name} ${number}`);
    } else if (what === 'add') {
      await write(this.store, partition, { op: 'add', kind: 'count', id: 'count', deltas: { n: 1 } });
      this.adds[to]!++;
    } else {
      const key = `${writer}-${number}`;
      const patch = { merge: JSON.stringify({ shared: { [key]: number } }) };
      const change = (now: { value: JsonObject } | undefined) => ({
        value: applyPatch(now?.value ?? {}, patch),
      });
      await new Records(this.store).update(partition, 'state', change, { patch });
      this.merges[to]!.push(key);
    }
  }
}

test('finds what was acknowledged exactly once, in each writer’s order, whenever the store comes and goes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const outages = new Outages();
      await outages.open();
      for (const one of steps) await outages.take(one);
      await outages.settled();
      outages.wire.onCommit = () => {};
      outages.wire.mode = 'up';
      await back(outages.store);
      for (let to = 0; to < 3; to++) {
        const partition = session(`${to}`);
        const found = (await valuesOf(outages.target, partition)) as string[];
        expect(account(outages.acknowledged[to]!, found)).toEqual({ lost: 0, doubled: 0, misordered: 0 });
        expect(found.length).toBe(outages.acknowledged[to]!.length);
        const count = (await recordOf(outages.target, partition, 'count')) as { n: number } | undefined;
        expect(count?.n ?? 0).toBe(outages.adds[to]);
        const state = (await recordOf(outages.target, partition, 'state')) as { shared: object } | undefined;
        expect(Object.keys(state?.shared ?? {}).sort()).toEqual(outages.merges[to]!.toSorted());
      }
      const left = await outages.spool.queryIndex({ index: '$partitions', key: '', limit: 10 });
      expect(left.items).toEqual([]);
      await outages.store.close();
    }),
    { numRuns: 60 },
  );
});
