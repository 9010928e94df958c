import { spawnSync } from 'node:child_process';
import { expect, test, vi } from 'vitest';
import { ProcessWatch } from '../../../src/core/monitor/process.ts';
import { CONDITION_MS } from '../../support/patience.ts';

test('tells memory, event-loop delay and CPU of the process', () => {
  using watch = new ProcessWatch().start();
  const { memory, eventLoop, cpu, uptimeMs } = watch.read();
  expect(memory.rssBytes).toBeGreaterThan(memory.heapUsedBytes);
  expect(memory.heapLimitBytes).toBeGreaterThan(memory.heapUsedBytes);
  expect(eventLoop.delayMaxMs).toBeGreaterThanOrEqual(eventLoop.delayMeanMs);
  expect(eventLoop.utilization).toBeLessThanOrEqual(1);
  expect(cpu).toBeGreaterThanOrEqual(0);
  expect(uptimeMs).toBeGreaterThan(0);
});

test('sees that something held the event loop up', async () => {
  using watch = new ProcessWatch().start();
  await vi.waitFor(() => {
    const until = performance.now() + 120;
    while (performance.now() < until);
    expect(watch.read().eventLoop.delayMaxMs).toBeGreaterThan(50);
  });
});

test('takes one delay among few looks for no 99th percentile', async () => {
  const held = async (watch: ProcessWatch) => {
    await vi.waitFor(() => {
      const until = performance.now() + 120;
      while (performance.now() < until);
      expect(watch.read().eventLoop.delayMaxMs).toBeGreaterThan(50);
    });
    return watch.read().eventLoop.delayP99Ms;
  };
  // It tells one after five seconds, which a busy machine may take for this.
  await vi.waitFor(async () => {
    using young = new ProcessWatch({ windowMs: 1e6 }).start();
    expect(await held(young)).toBe(0);
  });
  using old = new ProcessWatch({ windowMs: 200 }).start();
  await vi.waitFor(async () => expect(await held(old)).toBeGreaterThan(50));
});

test('tells nothing of a delay when two windows have passed since', async () => {
  using watch = new ProcessWatch({ windowMs: 200 }).start();
  await vi.waitFor(() => {
    const until = performance.now() + 150;
    while (performance.now() < until);
    expect(watch.read().eventLoop.delayMaxMs).toBeGreaterThan(100);
  });
  await vi.waitFor(() => expect(watch.read().eventLoop.delayMaxMs).toBeLessThan(100));
});

test('keeps no process alive that forgets to stop it', () => {
  const file = new URL('../../../src/core/monitor/process.ts', import.meta.url).href;
  const script = `const { ProcessWatch } = await import(${JSON.stringify(file)}); new ProcessWatch().start();`;
  const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    timeout: CONDITION_MS,
  });
  expect(status).toBe(0);
});

test('may be started and stopped twice', () => {
  const watch = new ProcessWatch();
  watch.start().start();
  watch.stop();
  watch.stop();
  expect(watch.read().memory.rssBytes).toBeGreaterThan(0);
});
