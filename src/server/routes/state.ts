import type { Json } from '../../core/json.ts';
import { route } from '../route.ts';
import * as wire from '../schemas.ts';

export const stateRoutes = [
  route({
    method: 'get',
    path: '/v1/sessions/{sessionId}/state',
    summary: "Gives the document that a session's agents share",
    answer: wire.StateAnswer,
    handle: ({ engine, params }) => engine.state.get(params.sessionId),
  }),
  route({
    method: 'patch',
    path: '/v1/sessions/{sessionId}/state',
    summary: 'Merges a patch into the document',
    body: wire.StatePatch,
    conditional: true,
    answer: wire.StateAnswer,
    handle: ({ engine, params, body, condition }) => engine.state.merge(params.sessionId, body, condition),
  }),
  route({
    method: 'delete',
    path: '/v1/sessions/{sessionId}/state',
    summary: 'Empties the document',
    conditional: true,
    answer: wire.StateAnswer,
    handle: ({ engine, params, condition }) => engine.state.delete(params.sessionId, undefined, condition),
  }),
  route({
    method: 'put',
    path: '/v1/sessions/{sessionId}/state/{key}',
    summary: 'Sets one field of the document',
    body: wire.StateValue,
    conditional: true,
    answer: wire.StateAnswer,
    handle: ({ engine, params, body, condition }) =>
      engine.state.set(params.sessionId, params.key, body as Json, condition),
  }),
  route({
    method: 'delete',
    path: '/v1/sessions/{sessionId}/state/{key}',
    summary: 'Removes one field of the document',
    conditional: true,
    answer: wire.StateAnswer,
    handle: ({ engine, params, condition }) => engine.state.delete(params.sessionId, params.key, condition),
  }),
];
