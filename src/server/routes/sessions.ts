import { parseInput } from '../../core/input.ts';
import { noSession } from '../../core/services.ts';
import { route } from '../route.ts';
import * as wire from '../schemas.ts';

export const sessionRoutes = [
  route({
    method: 'post',
    path: '/v1/sessions',
    summary: 'Makes a session',
    body: wire.NewSession,
    status: 201,
    answer: wire.SessionAnswer,
    handle: ({ engine, body }) => engine.sessions.create(body),
  }),
  route({
    method: 'get',
    path: '/v1/sessions',
    summary: 'Lists sessions, newest first',
    query: wire.SessionQuery,
    answer: wire.SessionList,
    handle: ({ engine, query }) => engine.sessions.list(query),
  }),
  route({
    method: 'get',
    path: '/v1/sessions/{sessionId}',
    summary: 'Gives a session',
    answer: wire.SessionAnswer,
    handle: ({ engine, params }) => engine.sessions.get(params.sessionId),
  }),
  route({
    method: 'put',
    path: '/v1/sessions/{sessionId}',
    summary: 'Makes a session unless it is there; one that is there stays as it is',
    body: wire.NewSessionBody,
    answer: wire.SessionAnswer,
    handle: ({ engine, params, body }) => engine.sessions.getOrCreate({ ...body, id: params.sessionId }),
  }),
  route({
    method: 'patch',
    path: '/v1/sessions/{sessionId}',
    summary: 'Changes fields of a session and adds to its counters',
    body: wire.SessionChanges,
    conditional: true,
    answer: wire.SessionAnswer,
    handle: ({ engine, params, body, condition }) =>
      engine.sessions.update(params.sessionId, body, condition),
  }),
  route({
    method: 'delete',
    path: '/v1/sessions/{sessionId}',
    summary: 'Deletes a session and everything in it',
    answer: wire.Deleted,
    handle: async ({ engine, params }) => {
      if (!(await engine.sessions.delete(params.sessionId))) throw noSession(params.sessionId);
      return { deleted: true };
    },
  }),
  route({
    method: 'post',
    path: '/v1/sessions/{sessionId}/end',
    summary: 'Ends a session; everything in it stays readable',
    body: wire.EndSession,
    bodyOptional: true,
    answer: wire.SessionAnswer,
    handle: ({ engine, params, body }) =>
      engine.sessions.end(params.sessionId, parseInput(wire.EndSession, body, 'sessions.end').status),
  }),
  route({
    method: 'post',
    path: '/v1/sessions/{sessionId}/fork',
    summary: 'Copies a session, up to a message or whole',
    body: wire.ForkSession,
    bodyOptional: true,
    status: 201,
    answer: wire.SessionAnswer,
    handle: ({ engine, params, body }) => engine.sessions.fork(params.sessionId, body),
  }),
];
