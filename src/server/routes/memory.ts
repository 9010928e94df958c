import { NotFoundError } from '../../core/errors.ts';
import * as wire from '../memory-schemas.ts';
import { route } from '../route.ts';
import { Deleted } from '../schemas.ts';

export const memoryRoutes = [
  route({
    method: 'post',
    path: '/v1/memories',
    summary: 'Adds a memory, or merges it into the one that says the same',
    body: wire.NewMemory,
    status: 201,
    answer: wire.AddedAnswer,
    handle: ({ engine, body }) => engine.memory.add(body),
  }),
  route({
    method: 'get',
    path: '/v1/memories',
    summary: "Lists a user's memories, newest first; those of the tenant where nobody is named",
    query: wire.ListQuery,
    answer: wire.MemoryList,
    handle: ({ engine, query }) => engine.memory.list(query),
  }),
  route({
    method: 'get',
    path: '/v1/memories/{memoryId}',
    summary: 'Gives a memory, superseded ones as well',
    query: wire.WhoseQuery,
    answer: wire.MemoryAnswer,
    handle: ({ engine, params, query }) => engine.memory.get(params.memoryId, query),
  }),
  route({
    method: 'patch',
    path: '/v1/memories/{memoryId}',
    summary: 'Changes fields of a memory',
    query: wire.WhoseQuery,
    body: wire.MemoryChanges,
    conditional: true,
    answer: wire.MemoryAnswer,
    handle: ({ engine, params, query, body, condition }) =>
      engine.memory.update(params.memoryId, body, { ...query, ...condition }),
  }),
  route({
    method: 'delete',
    path: '/v1/memories/{memoryId}',
    summary: 'Deletes a memory',
    query: wire.WhoseQuery,
    answer: Deleted,
    handle: async ({ engine, params, query }) => {
      if (await engine.memory.delete(params.memoryId, query)) return { deleted: true };
      throw new NotFoundError('memory', params.memoryId);
    },
  }),
  route({
    method: 'post',
    path: '/v1/memories/search',
    summary: 'Finds memories by what they say, the best first',
    body: wire.SearchRequest,
    answer: wire.SearchAnswer,
    handle: ({ engine, body: { query, ...options } }) => engine.memory.search(query, options),
  }),
  route({
    method: 'post',
    path: '/v1/memories/search-by-tags',
    summary: 'Finds the memories that have all of some tags, or any of them',
    body: wire.TagsRequest,
    answer: wire.FoundByTags,
    handle: async ({ engine, body: { tags, ...options } }) => ({
      memories: await engine.memory.searchByTags(tags, options),
    }),
  }),
  route({
    method: 'post',
    path: '/v1/memory/consolidate',
    summary: 'Merges memories that say the same, and supersedes what newer ones contradict',
    body: wire.ConsolidateRequest,
    bodyOptional: true,
    answer: wire.Consolidated,
    handle: ({ engine, body }) => engine.memory.consolidate(body),
  }),
  route({
    method: 'post',
    path: '/v1/memory/cleanup',
    summary: 'Removes memories that have ended or faded, or that nobody has used for long',
    body: wire.CleanupRequest,
    bodyOptional: true,
    answer: wire.Cleaned,
    handle: ({ engine, body }) => engine.memory.cleanup(body),
  }),
  route({
    method: 'get',
    path: '/v1/memory/stats',
    summary: 'Counts memories: of all users unless one is named',
    query: wire.WhoseQuery,
    answer: wire.StatsAnswer,
    handle: ({ engine, query }) => engine.memory.stats(query),
  }),
  route({
    method: 'get',
    path: '/v1/memory/audit',
    summary: 'Names memories that look wrong',
    query: wire.AuditQuery,
    answer: wire.AuditAnswer,
    handle: ({ engine, query }) => engine.memory.audit(query),
  }),
];
