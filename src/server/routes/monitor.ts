import { z } from '@hono/zod-openapi';
import { plain } from '../errors.ts';
import { route } from '../route.ts';

export const monitorRoutes = [
  route({
    method: 'get',
    path: '/v1/monitor',
    summary: 'How the engine is doing: totals, rates, latencies, queues, lags, a score, and what would help',
    query: z.object({
      history: z.enum(['true', 'false']).optional().openapi({ description: 'give the last samples, too' }),
    }),
    answer: z.looseObject({
      at: z.number(),
      tenant: z.string(),
      health: z.looseObject({ score: z.number() }),
      recommendations: z.array(z.looseObject({ setting: z.string() })),
    }),
    handle: async ({ engine, query }) => {
      const snapshot = await engine.monitor.snapshot();
      return query.history === 'true' ? { ...snapshot, history: engine.monitor.history() } : snapshot;
    },
  }),
  route({
    method: 'get',
    path: '/metrics',
    summary: 'The same for Prometheus, in its text format',
    answer: z.string(),
    answerType: 'text/plain',
    handle: async ({ engine }) => {
      const { contentType, text } = await engine.monitor.prometheus();
      return new Response(text, { headers: { ...plain, 'content-type': contentType } });
    },
  }),
];
