import { z } from 'zod';
import {
  ConflictError,
  InvalidInputError,
  isHoldfastError,
  isUnavailable,
  NotFoundError,
} from '../errors.ts';
import { newId } from '../ids.ts';
import { idSchema, objectSchema, parseId, parseInput, timeSchema } from '../input.ts';
import { decodeJson, encodeJson, type JsonObject } from '../json.ts';
import type { MessageService } from '../messages/messages.ts';
import type { Message, MessageInput } from '../model/message.ts';
import { kinds, sessionExists } from '../partitions.ts';
import { partitionOf, type ServiceContext } from '../services.ts';
import type { Activity } from '../sessions/activity.ts';
import type { Operation } from '../store.ts';

/** Who may talk in a channel: a user, an agent, or the master controller (`mc`) that directs agents. */
export type ParticipantRole = 'user' | 'agent' | 'mc';

export interface Participant {
  id: string;
  role: ParticipantRole;
}

export type ChannelType = 'user_to_agent' | 'agent_to_agent' | 'mc_to_agent' | 'user_to_mc';

export interface Channel {
  id: string;
  type: ChannelType;
  participants: Participant[];
  metadata: JsonObject;
  createdAt: number;
}

export interface OpenChannel {
  /** A fresh one where absent. Opening a channel again as it is gives the one that is there. */
  id?: string | undefined;
  type: ChannelType;
  participants: Participant[];
  metadata?: Record<string, unknown> | undefined;
  /** Epoch milliseconds; for channels that come from elsewhere. Now where absent. */
  createdAt?: number | undefined;
}

/** A message in a channel: from one of its participants, to another or (where `to` is absent) to all others. */
export interface SendMessage extends Omit<MessageInput, 'role'> {
  from: string;
  to?: string;
  /** Where absent: `user` for what a user says, `assistant` for agents and the master controller. */
  role?: string;
}

/** Which roles a channel of a type needs at least one of, or of a single role two. */
const needed: Record<ChannelType, readonly ParticipantRole[]> = {
  user_to_agent: ['user', 'agent'],
  agent_to_agent: ['agent', 'agent'],
  mc_to_agent: ['mc', 'agent'],
  user_to_mc: ['user', 'mc'],
};

const MAX_SEEN = 10_000;
const channelIdSchema = idSchema.max(128);
const openSchema = z.strictObject({
  id: channelIdSchema.optional(),
  type: z.enum(['user_to_agent', 'agent_to_agent', 'mc_to_agent', 'user_to_mc']),
  participants: z
    .array(z.strictObject({ id: idSchema, role: z.enum(['user', 'agent', 'mc']) }))
    .min(2)
    .max(100),
  metadata: objectSchema.optional(),
  createdAt: timeSchema.optional(),
});

/** Only what is the channel's: the rest is checked as a message. */
const sendSchema = z.looseObject({
  from: idSchema,
  to: idSchema.optional(),
  role: z.string().optional(),
  metadata: objectSchema.optional(),
});

/** Conversations between the participants of a session, each with a log of its own. */
export class ChannelService {
  readonly #context: ServiceContext;
  readonly #messages: MessageService;
  readonly #activity: Activity;
  /** Channels that were seen, and don't change: what is sent while the store is away is checked by these. */
  readonly #seen = new Map<string, Channel>();

  constructor(context: ServiceContext, services: { messages: MessageService; activity: Activity }) {
    this.#context = context;
    this.#messages = services.messages;
    this.#activity = services.activity;
  }

  /** @throws InvalidInputError when the participants don't fit the type, ConflictError when the id means another channel */
  async open(sessionId: string, input: OpenChannel): Promise<Channel> {
    const {
      id = newId(),
      type,
      participants,
      metadata = {},
      createdAt = this.#context.clock.now(),
    } = parseInput(openSchema, input, 'channels.open');
    parseId(sessionId, 'channels.open: sessionId');
    checkParticipants(type, participants);
    const channel: Channel = {
      id,
      type,
      participants,
      metadata: metadata as JsonObject,
      createdAt,
    };
    const value = encodeJson(channel, 'channel');
    const partition = partitionOf(this.#context, sessionId);
    try {
      await this.#activity.using(sessionId, (used) => {
        const put: Operation = { op: 'put', kind: kinds.channel, id, value, ifVersion: 'absent' };
        return this.#context.store.commit({ partition, operations: [sessionExists, put, ...used] });
      });
      this.#remember(sessionId, decodeJson<Channel>(value));
      // Read back from its text, so that the caller's object can't change it.
      return decodeJson<Channel>(value);
    } catch (error) {
      if (!isHoldfastError(error) || error.details?.kind !== kinds.channel) throw error;
      return this.#same(sessionId, channel);
    }
  }

  /** @throws NotFoundError */
  async get(sessionId: string, channelId: string): Promise<Channel> {
    parseInput(idSchema, sessionId, 'channels.get: sessionId');
    parseInput(channelIdSchema, channelId, 'channels.get: id');
    await this.#activity.checkForRead(sessionId);
    const found = await this.#context.records.get<Channel>(
      partitionOf(this.#context, sessionId),
      kinds.channel,
      channelId,
    );
    if (!found)
      throw new NotFoundError('channel', channelId, {
        hint: 'Open it first: engine.channels.open(sessionId, …).',
      });
    this.#remember(sessionId, found.value);
    return found.value;
  }

  /** All channels of a session, in the order of their ids. */
  async list(sessionId: string): Promise<Channel[]> {
    parseInput(idSchema, sessionId, 'channels.list: sessionId');
    await this.#activity.checkForRead(sessionId);
    const channels: Channel[] = [];
    let after: string | undefined;
    do {
      const range = { limit: 1000, ...(after !== undefined && { after }) };
      const page = await this.#context.store.listRecords(
        partitionOf(this.#context, sessionId),
        kinds.channel,
        range,
      );
      channels.push(...page.items.map((record) => decodeJson<Channel>(record.value)));
      after = page.next;
    } while (after !== undefined);
    return channels;
  }

  /** Appends a message to the channel's own log. Read it with `messages.list(sessionId, {channel})`. */
  async send(sessionId: string, channelId: string, input: SendMessage): Promise<Message> {
    const { from, to, role, ...message } = parseInput(sendSchema, input, 'channels.send');
    const channel = await this.get(sessionId, channelId).catch((error: unknown) => {
      const seen = isUnavailable(error) ? this.#seen.get(seenKey(sessionId, channelId)) : undefined;
      if (!seen) throw error;
      return seen;
    });
    const sender = participantOf(channel, 'from', from);
    if (to !== undefined) participantOf(channel, 'to', to);
    const metadata = { ...message.metadata, from, ...(to !== undefined && { to }) };
    const given = {
      name: from,
      ...message,
      role: role ?? (sender.role === 'user' ? 'user' : 'assistant'),
      metadata,
    };
    return this.#messages.append(sessionId, given as MessageInput, { channel: channelId });
  }

  #remember(sessionId: string, channel: Channel): void {
    if (this.#seen.size >= MAX_SEEN) this.#seen.clear();
    this.#seen.set(seenKey(sessionId, channel.id), channel);
  }

  /** The channel of that id, provided it is what was asked for. */
  async #same(sessionId: string, wanted: Channel): Promise<Channel> {
    const found = await this.get(sessionId, wanted.id);
    if (identityOf(found) === identityOf(wanted)) return found;
    throw new ConflictError(
      `channel ${JSON.stringify(wanted.id)} exists with another type or other participants`,
      undefined,
    );
  }
}

function seenKey(sessionId: string, channelId: string): string {
  return `${sessionId}\0${channelId}`;
}

/** What a channel is: its type and who is in it, in whatever order. */
function identityOf({ type, participants }: Channel): string {
  return JSON.stringify([type, participants.map(({ id, role }) => `${role} ${id}`).sort()]);
}

function checkParticipants(type: ChannelType, participants: readonly Participant[]): void {
  const issues = [];
  const ids = new Set(participants.map((participant) => participant.id));
  if (ids.size < participants.length) issues.push({ path: 'participants', message: 'has the same id twice' });
  const left = participants.map((participant) => participant.role);
  for (const role of needed[type]) {
    const at = left.indexOf(role);
    if (at < 0)
      issues.push({
        path: 'participants',
        message: `${type} needs ${needed[type].join(' and ')}: ${role} is missing`,
      });
    else left.splice(at, 1);
  }
  for (const role of left) {
    if (!needed[type].includes(role))
      issues.push({ path: 'participants', message: `${type} has no place for ${role}` });
  }
  if (issues.length > 0) throw new InvalidInputError('channels.open', issues);
}

function participantOf(channel: Channel, field: string, id: string): Participant {
  const participant = channel.participants.find((candidate) => candidate.id === id);
  if (participant) return participant;
  const known = channel.participants.map((candidate) => candidate.id).join(', ');
  throw new InvalidInputError('channels.send', [
    { path: field, message: `is no participant of the channel; they are ${known}` },
  ]);
}
