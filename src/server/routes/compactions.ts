import type { CompactOptions } from '../../core/compaction/options.ts';
import * as wire from '../compaction-schemas.ts';
import { route } from '../route.ts';
import { WindowQuery } from '../schemas.ts';

export const compactionRoutes = [
  route({
    method: 'post',
    path: '/v1/sessions/{sessionId}/compactions',
    summary: 'Makes the older part of a session shorter, or says why not',
    body: wire.CompactBody,
    bodyOptional: true,
    answer: wire.CompactAnswer,
    handle: ({ engine, params, body, request: { signal } }) =>
      engine.window.compact(params.sessionId, { ...(body as CompactOptions), signal }),
  }),
  route({
    method: 'get',
    path: '/v1/sessions/{sessionId}/compactions',
    summary: 'Lists compactions, newest first, with those that no longer count',
    query: WindowQuery,
    answer: wire.CompactionList,
    handle: async ({ engine, params, query }) => ({
      compactions: await engine.window.compactions(params.sessionId, query),
    }),
  }),
  route({
    method: 'post',
    path: '/v1/sessions/{sessionId}/compactions/undo',
    summary: 'Takes back a compaction, the newest unless its id is given, and all after it',
    body: wire.UndoBody,
    bodyOptional: true,
    answer: wire.CompactionAnswer,
    handle: ({ engine, params, body }) => {
      const { id, ...options } = body;
      return engine.window.undo(params.sessionId, id, options);
    },
  }),
  route({
    method: 'get',
    path: '/v1/sessions/{sessionId}/offloaded',
    summary: 'Gives the whole of what a marker stands for, by its handle',
    query: wire.OffloadedQuery,
    answer: wire.OffloadedAnswer,
    handle: ({ engine, params, query: { handle, ...options } }) =>
      engine.messages.readOffloaded(params.sessionId, handle, options),
  }),
];
