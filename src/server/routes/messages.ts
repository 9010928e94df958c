import type { AppendOptions } from '../../core/messages/messages.ts';
import type { MessageInput } from '../../core/model/message.ts';
import { badRequest } from '../errors.ts';
import { route } from '../route.ts';
import * as wire from '../schemas.ts';

export const messageRoutes = [
  route({
    method: 'get',
    path: '/v1/sessions/{sessionId}/messages',
    summary: 'Lists messages in chronological order: the newest, or those next to a place',
    query: wire.MessageQuery.extend(wire.ChannelQuery.shape),
    answer: wire.MessageList,
    handle: async ({ engine, params, query }) => ({
      messages: await engine.messages.list(params.sessionId, query),
    }),
  }),
  route({
    method: 'post',
    path: '/v1/sessions/{sessionId}/messages',
    summary: 'Appends a message, or several that commit together',
    body: wire.AppendBody,
    status: 201,
    answer: wire.Appended,
    handle: async ({ engine, params, body }) => {
      if (!('messages' in body)) return engine.messages.append(params.sessionId, body as MessageInput);
      const { messages, ...options } = body;
      if (!Array.isArray(messages)) throw badRequest('messages', 'expected an array');
      return { messages: await engine.messages.append(params.sessionId, messages, options as AppendOptions) };
    },
  }),
  route({
    method: 'get',
    path: '/v1/sessions/{sessionId}/messages/{messageId}',
    summary: 'Gives a message',
    query: wire.ChannelQuery,
    answer: wire.MessageAnswer,
    handle: ({ engine, params, query }) => engine.messages.get(params.sessionId, params.messageId, query),
  }),
  route({
    method: 'patch',
    path: '/v1/sessions/{sessionId}/messages/{messageId}',
    summary: 'Changes a message in place; its id, seq and role stay',
    query: wire.ChannelQuery,
    body: wire.MessageChanges,
    answer: wire.MessageAnswer,
    handle: ({ engine, params, query, body }) =>
      engine.messages.edit(params.sessionId, params.messageId, body, query),
  }),
  route({
    method: 'post',
    path: '/v1/sessions/{sessionId}/messages/pop',
    summary: 'Takes the newest messages away and gives them back',
    body: wire.PopMessages,
    bodyOptional: true,
    answer: wire.StoredMessages,
    handle: async ({ engine, params, body }) => ({
      messages: await engine.messages.pop(params.sessionId, body),
    }),
  }),
  route({
    method: 'post',
    path: '/v1/sessions/{sessionId}/messages/truncate',
    summary: 'Takes the messages before and after given seqs away',
    body: wire.TruncateMessages,
    answer: wire.Removed,
    handle: async ({ engine, params, body }) => ({
      removed: await engine.messages.truncate(params.sessionId, body),
    }),
  }),
  route({
    method: 'post',
    path: '/v1/sessions/{sessionId}/messages/clear',
    summary: 'Takes all messages away; seqs go on from where they were',
    body: wire.ClearMessages,
    bodyOptional: true,
    answer: wire.Removed,
    handle: async ({ engine, params, body }) => ({
      removed: await engine.messages.clear(params.sessionId, body),
    }),
  }),
];
