import { plain } from '../errors.ts';
import { eventStream } from '../event-stream.ts';
import { route } from '../route.ts';
import * as wire from '../schemas.ts';

export interface EventRouteOptions {
  pingIntervalMs: number;
  /** Ends all streams. */
  stopping: AbortSignal;
}

const headers = {
  ...plain,
  'content-type': 'text/event-stream; charset=utf-8',
  // Proxies that buffer answers would hold events back.
  'x-accel-buffering': 'no',
};

export const eventRoutes = ({ pingIntervalMs, stopping }: EventRouteOptions) => [
  route({
    method: 'get',
    path: '/v1/events',
    summary: 'Streams what happens, from now on or from a cursor on',
    query: wire.EventQuery,
    answer: wire.EventStream,
    answerType: 'text/event-stream',
    handle: async ({ engine, query: { after, types, sessionId }, request }) => {
      // A client that connects again repeats its URL: the header knows more.
      const start = await engine.events.cursor(request.headers.get('last-event-id') ?? after);
      if (request.method === 'HEAD') return new Response(null, { headers });
      const gone = new AbortController();
      const signal = AbortSignal.any([gone.signal, stopping]);
      const events = engine.events.subscribe({ after: start, types, sessionId, signal });
      const stop = () => gone.abort();
      return new Response(eventStream(events, { start, pingIntervalMs, stop }), { headers });
    },
  }),
];
