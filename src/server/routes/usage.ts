import { route } from '../route.ts';
import * as wire from '../schemas.ts';

export const usageRoutes = [
  route({
    method: 'get',
    path: '/v1/sessions/{sessionId}/usage',
    summary: "What a session's model calls have cost, by model and in all",
    answer: wire.UsageAnswer,
    handle: async ({ engine, params }) => {
      await engine.sessions.get(params.sessionId);
      return engine.window.usage(params.sessionId);
    },
  }),
  route({
    method: 'post',
    path: '/v1/sessions/{sessionId}/usage',
    summary: 'Adds what the provider counted for a call, and gives the sums',
    body: wire.NewUsage,
    answer: wire.UsageAnswer,
    handle: async ({ engine, params, body }) => {
      await engine.window.reportUsage(params.sessionId, body);
      return engine.window.usage(params.sessionId);
    },
  }),
];
