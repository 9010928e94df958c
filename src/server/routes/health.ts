import type { RecoveryAction } from '../../core/health/recovery.ts';
import { plain } from '../errors.ts';
import { HealthReport, Recovered, RecoverQuery } from '../health-schemas.ts';
import { route } from '../route.ts';
import * as wire from '../schemas.ts';

export const healthRoutes = [
  route({
    method: 'get',
    path: '/healthz',
    summary: 'Whether the server and its store can work; 503 where they cannot',
    answer: wire.Health,
    handle: async ({ engine }) => {
      const { ok, name, problems, facts } = await engine.storeHealth();
      return Response.json({ ok, store: { name, problems, facts } }, { status: ok ? 200 : 503 });
    },
  }),
  route({
    method: 'get',
    path: '/v1/health',
    summary: 'How the store, its journal and the server are, check by check; 503 where they are unhealthy',
    answer: HealthReport,
    handle: async ({ engine }) => {
      const report = await engine.health.check();
      const status = report.status === 'unhealthy' ? 503 : 200;
      return Response.json(report, { status, headers: plain });
    },
  }),
  route({
    method: 'post',
    path: '/v1/health/recover/{action}',
    summary: 'Does what helps: reconnect, replay-spool, catch-up-index or rebuild-index',
    query: RecoverQuery,
    answer: Recovered,
    handle: ({ engine, params, query }) => engine.health.recover(params.action as RecoveryAction, query),
  }),
];
