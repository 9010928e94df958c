import { route } from '../route.ts';
import * as wire from '../search-schemas.ts';

export const searchRoutes = [
  route({
    method: 'post',
    path: '/v1/sessions/{sessionId}/search',
    summary: 'Searches the messages of a session, the best first',
    body: wire.SearchSession,
    answer: wire.SearchAnswer,
    handle: ({ engine, params, body: { query, ...options } }) =>
      engine.messages.search(query, { ...options, sessionId: params.sessionId }),
  }),
  route({
    method: 'post',
    path: '/v1/messages/search',
    summary: 'Searches the messages of all sessions of a user, or of one session, the best first',
    body: wire.SearchAll,
    answer: wire.SearchAnswer,
    handle: ({ engine, body: { query, ...options } }) => engine.messages.search(query, options),
  }),
];
