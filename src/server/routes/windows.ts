import { route } from '../route.ts';
import * as wire from '../schemas.ts';

export const windowRoutes = [
  route({
    method: 'post',
    path: '/v1/sessions/{sessionId}/window',
    summary: 'Builds the window for the next model call',
    body: wire.WindowRequest,
    answer: wire.WindowAnswer,
    handle: ({ engine, params, body }) => engine.window.build(params.sessionId, body),
  }),
  route({
    method: 'get',
    path: '/v1/sessions/{sessionId}/windows',
    summary: 'Lists recorded windows, newest first',
    query: wire.WindowQuery,
    answer: wire.WindowList,
    handle: async ({ engine, params, query }) => ({
      windows: await engine.window.manifests(params.sessionId, query),
    }),
  }),
  route({
    method: 'get',
    path: '/v1/sessions/{sessionId}/windows/{windowId}',
    summary: 'Shows a recorded window again, and which of its messages have changed since',
    answer: wire.Replayed,
    handle: ({ engine, params }) => engine.window.replay(params.sessionId, params.windowId),
  }),
];
