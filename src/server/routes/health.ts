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
];
