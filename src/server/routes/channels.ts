import { route } from '../route.ts';
import * as wire from '../schemas.ts';

export const channelRoutes = [
  route({
    method: 'post',
    path: '/v1/sessions/{sessionId}/channels',
    summary: 'Opens a channel between participants; again as it is, gives the one that is there',
    body: wire.NewChannel,
    status: 201,
    answer: wire.ChannelAnswer,
    handle: ({ engine, params, body }) => engine.channels.open(params.sessionId, body),
  }),
  route({
    method: 'get',
    path: '/v1/sessions/{sessionId}/channels',
    summary: "Lists a session's channels",
    answer: wire.ChannelList,
    handle: async ({ engine, params }) => {
      await engine.sessions.get(params.sessionId);
      return { channels: await engine.channels.list(params.sessionId) };
    },
  }),
  route({
    method: 'get',
    path: '/v1/sessions/{sessionId}/channels/{channelId}',
    summary: 'Gives a channel',
    answer: wire.ChannelAnswer,
    handle: ({ engine, params }) => engine.channels.get(params.sessionId, params.channelId),
  }),
  route({
    method: 'get',
    path: '/v1/sessions/{sessionId}/channels/{channelId}/messages',
    summary: "Lists a channel's messages",
    query: wire.MessageQuery,
    answer: wire.MessageList,
    handle: async ({ engine, params, query }) => {
      const { id: channel } = await engine.channels.get(params.sessionId, params.channelId);
      return { messages: await engine.messages.list(params.sessionId, { ...query, channel }) };
    },
  }),
  route({
    method: 'post',
    path: '/v1/sessions/{sessionId}/channels/{channelId}/messages',
    summary: 'Sends a message from one participant to another, or to all others',
    body: wire.ChannelMessage,
    status: 201,
    answer: wire.MessageAnswer,
    handle: ({ engine, params, body }) => engine.channels.send(params.sessionId, params.channelId, body),
  }),
];
