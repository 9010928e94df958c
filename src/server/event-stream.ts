/** Events as server-sent events. */
import type { EngineEvent } from '../core/events/catalog.ts';

const encoder = new TextEncoder();

export interface EventStreamOptions {
  /** The cursor that the events come after: a client that loses the connection before the first one knows it. */
  start: string;
  /** How often a comment keeps the connection from looking dead (milliseconds). */
  pingIntervalMs: number;
  /** Ends `events`; called when the client goes. */
  stop(): void;
}

/**
 * The body of a `text/event-stream` answer. An event's `id` is its cursor: a client that was cut off after it, in the
 * middle of a commit's events even, misses none.
 */
export function eventStream(
  events: AsyncGenerator<EngineEvent, void, void>,
  options: EventStreamOptions,
): ReadableStream<Uint8Array> {
  const blocks = withPings(blocksOf(events, options.start), options.pingIntervalMs);
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await blocks.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    cancel: () => options.stop(),
  });
}

async function* blocksOf(
  events: AsyncGenerator<EngineEvent, void, void>,
  start: string,
): AsyncGenerator<string, void, void> {
  yield `id: ${start}\n\n`;
  for await (const event of events) {
    yield `event: ${event.type}\nid: ${event.cursor}\ndata: ${JSON.stringify(event)}\n\n`;
  }
}

async function* withPings(
  blocks: AsyncGenerator<string, void, void>,
  intervalMs: number,
): AsyncGenerator<string, void, void> {
  let next = blocks.next();
  for (;;) {
    const ping = Promise.withResolvers<'ping'>();
    const timer = setTimeout(() => ping.resolve('ping'), intervalMs);
    const first = await Promise.race([next, ping.promise]).finally(() => clearTimeout(timer));
    if (first === 'ping') {
      yield ': ping\n\n';
      continue;
    }
    if (first.done) return;
    yield first.value;
    next = blocks.next();
  }
}
