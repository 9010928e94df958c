/**
 * The wire schemas. Queries are parsed with theirs, which turn text into values; everything else is described here for
 * OpenAPI and checked by the core, once, whoever calls it. The compiler holds the descriptions to the core's types:
 * a field that one has and the other has not is an error.
 */
import { z } from '@hono/zod-openapi';
import type { Channel, OpenChannel, Participant } from '../core/channels/channels.ts';
import { eventTypes } from '../core/events/catalog.ts';
import { idSchema } from '../core/input.ts';
import type { EditMessage } from '../core/messages/edit.ts';
import type { AppendOptions } from '../core/messages/messages.ts';
import type { Session } from '../core/model/session.ts';
import type { RecallReport, WindowManifest } from '../core/model/window.ts';
import type { CreateSession, UpdateSession } from '../core/sessions/sessions.ts';
import type { StateDocument } from '../core/state/state.ts';
import type { ReplayedWindow } from '../core/window/manifests.ts';
import type { RecallOptions } from '../core/window/recall.ts';
import type { SessionUsage, Usage, UsageReport } from '../core/window/usage.ts';
import type { BuildWindow, BuiltWindow } from '../core/window/window.ts';

/** Every field of a type, described. */
export type Fields<T> = { [K in keyof T]-?: z.ZodType };

export const id = z.string().min(1).max(256);
export const object = z.record(z.string(), z.unknown());
export const time = z.int().openapi({ description: 'Epoch milliseconds' });
export const count = z.int().min(0);
const tokens = count;

// Queries: text that becomes values.
const wholeNumber = z
  .string()
  .regex(/^-?\d{1,15}$/, 'expected a whole number')
  .transform(Number);
export const integerText = wholeNumber.openapi({ type: 'integer' });
export const limit = integerText
  .optional()
  .openapi({ type: 'integer', minimum: 1, maximum: 1000, default: 50 });
const format = z.enum(['ai-sdk', 'openai']).optional();
const place = z
  .string()
  .transform((text) => (/^\d{1,15}$/.test(text) ? Number(text) : text))
  .optional()
  .openapi({ type: 'string', description: 'A seq (digits) or a message id' });

/** `?ifVersion=` of conditional writes. */
export const IfVersion = integerText.optional().openapi({ type: 'integer' });

export const TenantHeader = z.object({
  'Holdfast-Tenant': z
    .string()
    .optional()
    .openapi({ description: 'The tenant, percent-encoded; default where absent' }),
});

export const ErrorAnswer = z
  .object({
    error: z.object({
      code: z.string(),
      message: z.string(),
      hint: z.string().optional(),
      details: object.optional(),
    }),
  })
  .openapi('Error');

// Sessions
const status = z.enum(['active', 'completed', 'failed', 'expired']);

export const SessionAnswer = z
  .object({
    id,
    userId: id,
    status,
    metadata: object,
    createdAt: time,
    updatedAt: time,
    lastActivityAt: time,
    ttlMs: z.int().optional(),
    messageCount: count,
    requests: count,
    errors: count,
    processingTimeMs: z.number(),
    version: z.int(),
  } satisfies Fields<Session>)
  .openapi('Session');

const newSession = {
  userId: id,
  metadata: object.optional(),
  ttlMs: z.int().min(1).optional(),
  createdAt: time.optional(),
} satisfies Fields<Omit<CreateSession, 'id'>>;

export const NewSession = z.object({ id: id.optional(), ...newSession }).openapi('NewSession');
export const NewSessionBody = z.object(newSession);

export const SessionChanges = z
  .object({
    metadata: object.optional().openapi({ description: 'Merged field by field; null removes a field' }),
    status: status.optional(),
    incrementRequests: z.union([z.boolean(), count]).optional(),
    addProcessingTimeMs: z.number().min(0).optional(),
    markError: z.boolean().optional(),
  } satisfies Fields<UpdateSession>)
  .openapi('SessionChanges');

export const EndSession = z.strictObject({ status: status.optional() });
export const ForkSession = z.object({ id: id.optional(), atSeq: count.optional() });
export const SessionList = z.object({ sessions: z.array(SessionAnswer), next: z.string().optional() });
export const SessionQuery = z.strictObject({
  userId: z.string().optional(),
  status: status.optional(),
  after: z.string().optional().openapi({ description: 'The `next` of the page before' }),
  limit,
});
export const Deleted = z.object({ deleted: z.literal(true) });

// Leases
const milliseconds = z.int().min(0);
const token = z
  .int()
  .min(0)
  .openapi({ description: 'Writes that carry it go ahead only while it is current' });
export const RenewLease = z.object({ ttlMs: milliseconds.optional() });
export const TakeLease = RenewLease.extend({ waitMs: milliseconds.optional(), owner: id.optional() });
export const RenewedLease = z.object({ token, expiresAt: time });
export const LeaseAnswer = RenewedLease.extend({ sessionId: id, owner: id });

// Messages
const role = z.enum(['system', 'user', 'assistant', 'tool']);
const priority = z.enum(['low', 'normal', 'high']);
const content = z.union([z.string(), z.array(z.looseObject({ type: z.string() }))]);

export const NewMessage = z
  .looseObject({
    id: id.optional(),
    role: z.string(),
    content: content.nullish(),
    name: z.string().optional(),
    priority: priority.optional(),
    pinned: z.boolean().optional(),
    metadata: object.optional(),
    createdAt: time.optional(),
  })
  .openapi('NewMessage', {
    description: 'A plain message, an AI SDK model message or an OpenAI chat message',
  });

export const MessageAnswer = z
  .looseObject({
    id,
    seq: z.int(),
    role,
    content,
    name: z.string().optional(),
    priority: priority.optional(),
    pinned: z.boolean().optional(),
    tokens: tokens.optional(),
    metadata: object.optional(),
    createdAt: time,
  })
  .openapi('Message');

const appendOptions = {
  history: z
    .boolean()
    .optional()
    .openapi({ description: 'The messages are the whole conversation so far: what is new is appended' }),
  channel: id.optional(),
  lease: z
    .object({ token })
    .optional()
    .openapi({ description: "Only while this is the session's current lease" }),
} satisfies Fields<AppendOptions>;

export const NewMessages = z.object({ messages: z.array(NewMessage), ...appendOptions });
/** A batch is told by its `messages`. */
export const AppendBody = z.union([NewMessage, NewMessages]);
export const Appended = z.union([MessageAnswer, z.object({ messages: z.array(MessageAnswer) })]);
export const MessageList = z.object({
  messages: z
    .array(z.looseObject({}))
    .openapi({ description: 'Messages, or with `as` those of that format' }),
});
export const StoredMessages = z.object({ messages: z.array(MessageAnswer) });
export const MessageQuery = z.strictObject({ limit, before: place, after: place, as: format });
export const ChannelQuery = z.strictObject({ channel: z.string().optional() });
export const MessageChanges = z
  .object({
    content: content.optional(),
    name: z.string().nullish(),
    priority: priority.nullish(),
    pinned: z.boolean().optional(),
    metadata: object.nullish(),
  } satisfies Fields<EditMessage>)
  .openapi('MessageChanges');
export const PopMessages = z.object({ count: z.int().optional(), channel: id.optional() });
export const TruncateMessages = z.object({
  beforeSeq: z.int().optional(),
  afterSeq: z.int().optional(),
  channel: id.optional(),
});
export const ClearMessages = z.object({ channel: id.optional() });
export const Removed = z.object({ removed: count });

// Channels
const participant = z.object({
  id,
  role: z.enum(['user', 'agent', 'mc']),
} satisfies Fields<Participant>);
const channelType = z.enum(['user_to_agent', 'agent_to_agent', 'mc_to_agent', 'user_to_mc']);
const participants = z.array(participant).min(2);

export const ChannelAnswer = z
  .object({
    id,
    type: channelType,
    participants,
    metadata: object,
    createdAt: time,
  } satisfies Fields<Channel>)
  .openapi('Channel');
export const NewChannel = z
  .object({
    id: id.optional(),
    type: channelType,
    participants,
    metadata: object.optional(),
    createdAt: time.optional(),
  } satisfies Fields<OpenChannel>)
  .openapi('NewChannel');
export const ChannelList = z.object({ channels: z.array(ChannelAnswer) });
export const ChannelMessage = z
  .looseObject({ from: id, to: id.optional(), role: role.optional(), content })
  .openapi('ChannelMessage');

// State
export const StateAnswer = z
  .object({ value: object, version: count } satisfies Fields<StateDocument>)
  .openapi('State');
export const StatePatch = object.openapi({ description: 'Merged deeply; arrays are replaced' });
export const StateValue = z.unknown().openapi({ description: 'Any JSON value' });

// Windows
export const WindowRequest = z
  .object({
    maxTokens: z.int().min(1).optional(),
    replyTokens: tokens.optional(),
    tools: z.union([tokens, z.array(z.unknown()), object]).optional(),
    model: z.string().optional(),
    query: z.string().optional(),
    recall: z
      .union([
        z.boolean(),
        z.object({
          share: z.number().optional(),
          maxTokens: tokens.optional(),
          memories: z.boolean().optional(),
          deadlineMs: z.int().min(1).optional(),
        } satisfies Fields<RecallOptions>),
      ])
      .optional(),
    atSeq: count.optional(),
    channel: id.optional(),
    record: z.boolean().optional(),
    as: format,
  } satisfies Fields<BuildWindow & { as?: string }>)
  .openapi('WindowRequest');

const recallReport = z.object({
  query: z.string(),
  querySeq: count.optional(),
  cutTokens: tokens,
  index: z.object({ complete: z.boolean(), behind: count }),
} satisfies Fields<RecallReport>);
const told = {
  tokens,
  budget: z.object({ maxTokens: tokens, reply: tokens, tools: tokens, messages: tokens }),
  sections: z.array(z.looseObject({ name: z.string(), tokens, items: z.array(z.looseObject({})) })),
  leftOut: z.array(z.looseObject({ reason: z.string(), fromSeq: z.int(), toSeq: z.int(), count })),
  prefixHash: z.string(),
  atSeq: count,
  compaction: z.string().optional(),
  recall: recallReport.optional(),
  counter: z.object({ name: z.string(), estimated: z.boolean() }),
};

export const Manifest = z
  .object({
    id,
    at: time,
    channel: id.optional(),
    model: z.string().optional(),
    query: z.string().optional(),
    ...told,
    recall: recallReport.partial({ query: true }).optional(),
    sharedPrefix: z.object({ messages: count, tokens }),
    messages: z
      .array(z.array(z.unknown()))
      .openapi({ description: 'seq, version and tokens of each message; parts left out; parts as markers' }),
  } satisfies Fields<WindowManifest>)
  .openapi('WindowManifest');

export const WindowAnswer = z
  .object({
    messages: z.array(z.looseObject({})),
    ...told,
    cacheBreakpoints: z.array(z.int()),
    manifest: Manifest.optional(),
  } satisfies Fields<BuiltWindow>)
  .openapi('Window');
export const WindowList = z.object({ windows: z.array(Manifest) });
export const WindowQuery = z.strictObject({
  limit,
  before: z.string().optional(),
  channel: z.string().optional(),
});
export const Replayed = z
  .object({
    manifest: Manifest,
    messages: z.array(MessageAnswer),
    changed: z.array(z.int()),
    gone: z.array(z.int()),
    changedMemories: z.array(id),
    goneMemories: z.array(id),
  } satisfies Fields<ReplayedWindow>)
  .openapi('ReplayedWindow');

// Usage
const sums = {
  calls: count,
  inputTokens: tokens,
  cachedTokens: tokens,
  outputTokens: tokens,
} satisfies Fields<Usage>;
export const UsageAnswer = z
  .object({ ...sums, byModel: z.record(z.string(), z.object(sums)) } satisfies Fields<SessionUsage>)
  .openapi('Usage');
export const NewUsage = z
  .object({
    inputTokens: tokens,
    cachedTokens: tokens.optional(),
    outputTokens: tokens.optional(),
    model: z.string().optional(),
  } satisfies Fields<UsageReport>)
  .openapi('UsageReport');

// Events
export const EventQuery = z.strictObject({
  after: z
    .string()
    .optional()
    .openapi({ description: "An event's id, or `oldest`; a `Last-Event-ID` header comes before it" }),
  types: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(eventTypes)))
    .optional()
    .openapi({ type: 'string', description: 'Event types, separated by commas' }),
  sessionId: idSchema.optional().openapi({ type: 'string' }),
});
export const EventStream = z.string().openapi({ description: 'Server-sent events: id, event, data' });

// The server itself
export const Health = z.object({
  ok: z.boolean(),
  store: z.object({ name: z.string(), problems: z.array(z.string()), facts: object }),
});
