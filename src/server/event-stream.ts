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
 * The body of a `text/event-stream` answer. An event's `id` is its cursor. Of the events of one commit, which share
 * their cursor, only the last carries it: a client that is cut off between them gets all of them again.
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
  let next = events.next();
  for (;;) {
    const { done, value: event } = await next;
    if (done) return;
    next = events.next();
    // Events of one commit follow one another without waiting for anything outside.
    const following = await Promise.race([next, soon()]);
    const last = following?.value?.cursor !== event.cursor;
    const id = last ? `id: ${event.cursor}\n` : '';
    yield `event: ${event.type}\n${id}data: ${JSON.stringify(event)}\n\n`;
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

function soon(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(() => resolve(undefined)));
}
