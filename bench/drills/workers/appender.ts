/**
 * A process that appends until it is stopped or killed: `node appender.ts URL SESSION WRITER [OPTIONS]`. It says `ready`,
 * waits for a line, and then writes `LANE NUMBER` for each message that was acknowledged, at once and unbuffered. At the
 * next line it lets its lanes finish, closes its engine, and says `stopped`.
 */
import { writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { ContextEngine, isHoldfastError } from '../../../src/index.ts';

/** How it appends, as JSON. */
export interface AppenderOptions {
  /** For `ContextEngine.open`. */
  engine?: object;
  /** Writers, each with an order of its own (3). */
  lanes?: number;
  /** Appends that a lane has under way at a time (1: it waits for each answer). */
  underWay?: number;
  /** Lane 0 appends to the session `SESSION-0`, and so on; else all append to `SESSION`. */
  sessionEach?: boolean;
  /** Gives messages ids, and hands one in again for as long as the store can't be reached. */
  insist?: boolean;
  /** Makes the session where it is not there. */
  create?: boolean;
  /** Rest after each message (milliseconds; 0). */
  pauseMs?: number;
}

const RETRY_MS = 50;

const [url, session, writer, given = '{}'] = process.argv.slice(2) as [string, string, string, string?];
const how: AppenderOptions = JSON.parse(given);
const { lanes = 3, underWay = 1, sessionEach, insist, pauseMs = 0 } = how;
const engine = await ContextEngine.open(url, { maintenanceIntervalMs: 0, ...how.engine });
if (how.create) await engine.sessions.getOrCreate({ id: session, userId: 'drill' });
// It may not come to its end, where that is done by itself: the next one starts faster.
flushCompileCache();
let stopped = false;
// Whoever started it is gone, where the lines end.
const lines = createInterface(process.stdin).on('close', () => process.exit());
const line = () => new Promise((resolve) => lines.once('line', resolve));

writeSync(1, 'ready\n');
await line();
const appending = Promise.all(Array.from({ length: lanes }, (_, lane) => appendFrom(lane)));
await Promise.race([line(), appending]);
stopped = true;
await appending;
await engine.close();
writeSync(1, 'stopped\n');

async function appendFrom(lane: number): Promise<void> {
  const name = `${writer}.${lane}`;
  const into = sessionEach ? `${session}-${lane}` : session;
  const open: Promise<void>[] = [];
  for (let i = 0; !stopped; i++) {
    const content = `${name} ${i}`;
    open.push(append(into, content).then(() => void writeSync(1, `${content}\n`)));
    if (open.length === underWay) await open.shift();
    if (pauseMs > 0) await delay(pauseMs);
  }
  await Promise.all(open);
}

async function append(into: string, content: string): Promise<void> {
  for (;;) {
    try {
      const message = { role: 'user', content } as const;
      await engine.messages.append(into, insist ? { ...message, id: `id ${content}` } : message);
      return;
    } catch (error) {
      if (!insist || !isHoldfastError(error) || error.code !== 'store-unavailable') throw error;
      await delay(RETRY_MS);
    }
  }
}
