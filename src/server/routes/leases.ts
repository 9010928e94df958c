import { route } from '../route.ts';
import * as wire from '../schemas.ts';

/** Whoever runs a session over HTTP renews its lease itself: the server does not know whether it still runs. */
export const leaseRoutes = [
  route({
    method: 'post',
    path: '/v1/sessions/{sessionId}/lease',
    summary: 'Takes the lease of a session; it is held until its time is over, unless it is renewed',
    body: wire.TakeLease,
    bodyOptional: true,
    status: 201,
    answer: wire.LeaseAnswer,
    handle: async ({ engine, params, body, request }) => {
      const given = { ...body, autoRenew: false, signal: request.signal };
      const { sessionId, token, owner, expiresAt } = await engine.sessions.leases.take(
        params.sessionId,
        given,
      );
      return { sessionId, token, owner, expiresAt };
    },
  }),
  route({
    method: 'put',
    path: '/v1/sessions/{sessionId}/lease/{token}',
    summary: 'Renews a lease',
    body: wire.RenewLease,
    bodyOptional: true,
    answer: wire.RenewedLease,
    handle: async ({ engine, params, body }) => {
      const token = Number(params.token);
      return { token, expiresAt: await engine.sessions.leases.renew(params.sessionId, token, body) };
    },
  }),
  route({
    method: 'delete',
    path: '/v1/sessions/{sessionId}/lease/{token}',
    summary: 'Gives a lease back; one that is over already is left as it is',
    answer: wire.Deleted,
    handle: async ({ engine, params }) => {
      await engine.sessions.leases.release(params.sessionId, Number(params.token));
      return { deleted: true };
    },
  }),
];
