import type { Channel, ChannelService, OpenChannel, SendMessage } from './channels/channels.ts';
import type { CompactOptions } from './compaction/options.ts';
import type { EngineEvent } from './events/catalog.ts';
import type { EventService, SubscribeOptions } from './events/events.ts';
import type { Json } from './json.ts';
import type { Extraction, ExtractMemories } from './memory/extract.ts';
import type { MemorySearch } from './memory/find.ts';
import type { AddMemory, ListMemories, SearchByTags, SearchMemories } from './memory/input.ts';
import type { AddedMemory, MemoryService } from './memory/memory.ts';
import type { EditMessage } from './messages/edit.ts';
import type { FormattedMessages, MessageFormat } from './messages/formats/format.ts';
import type { AppendOptions, ListOptions, MessageService } from './messages/messages.ts';
import type { Offloaded } from './messages/offloaded.ts';
import type { MessageSearch, SearchMessages } from './messages/search.ts';
import type { Compaction, CompactionResult } from './model/compaction.ts';
import type { Memory } from './model/memory.ts';
import type { Message, MessageInput } from './model/message.ts';
import type { Session, SessionStatus } from './model/session.ts';
import type { WindowManifest } from './model/window.ts';
import type { Lease } from './sessions/lease.ts';
import type { LeaseOptions } from './sessions/leases.ts';
import type { CreateSession, SessionService, UpdateSession } from './sessions/sessions.ts';
import type { StateDocument, StateService, WriteState } from './state/state.ts';
import type { TaskContext } from './tasks/context.ts';
import type { TimelineItem, TimelineOptions } from './tasks/read-timeline.ts';
import type { RunBody } from './tasks/run.ts';
import type { ListTasks, OpenTask, Task, TaskService } from './tasks/tasks.ts';
import type { RecordUpdate } from './tasks/timeline.ts';
import type { TimelineUpdate } from './tasks/update.ts';
import type { TaskUsage } from './tasks/usage.ts';
import type { Chain, ChainResult } from './tools/chain.ts';
import type { ReadResult, ResultPart } from './tools/offloaded.ts';
import type { Tool, ToolResult } from './tools/tool.ts';
import type { ToolCallOptions, ToolService } from './tools/tools.ts';
import type { ReplayedWindow } from './window/manifests.ts';
import type { SessionUsage, UsageReport } from './window/usage.ts';
import type { BuildWindow, BuiltWindow, WindowService } from './window/window.ts';

/** What a handle hands its calls on to. */
export interface SessionServices {
  readonly sessions: SessionService;
  readonly messages: MessageService;
  readonly channels: ChannelService;
  readonly state: StateService;
  readonly events: EventService;
  readonly window: WindowService;
  readonly memory: MemoryService;
  readonly tasks: TaskService;
  readonly tools: ToolService;
}

/** One session's services, with its id filled in: the same verbs, the same meaning. */
export class SessionHandle {
  readonly id: string;
  readonly messages: SessionMessages;
  readonly channels: SessionChannels;
  readonly state: SessionState;
  readonly window: SessionWindow;
  /** Memories of the session's user. */
  readonly memory: SessionMemory;
  readonly tasks: SessionTasks;
  readonly tools: SessionTools;
  readonly #engine: SessionServices;

  constructor(engine: SessionServices, id: string) {
    this.id = id;
    this.#engine = engine;
    this.messages = new SessionMessages(engine, id);
    this.channels = new SessionChannels(engine, id);
    this.state = new SessionState(engine, id);
    this.window = new SessionWindow(engine, id);
    this.memory = new SessionMemory(engine, id);
    this.tasks = new SessionTasks(engine, id);
    this.tools = new SessionTools(engine, id);
  }

  create(input: Omit<CreateSession, 'id'>): Promise<Session> {
    return this.#engine.sessions.create({ ...input, id: this.id });
  }
  getOrCreate(input: Omit<CreateSession, 'id'>): Promise<Session> {
    return this.#engine.sessions.getOrCreate({ ...input, id: this.id });
  }
  get(): Promise<Session> {
    return this.#engine.sessions.get(this.id);
  }
  update(changes: UpdateSession, options?: { ifVersion?: number }): Promise<Session> {
    return this.#engine.sessions.update(this.id, changes, options);
  }
  end(status?: SessionStatus): Promise<Session> {
    return this.#engine.sessions.end(this.id, status);
  }
  lease(options?: LeaseOptions): Promise<Lease> {
    return this.#engine.sessions.lease(this.id, options);
  }
  fork(options?: { id?: string; atSeq?: number }): Promise<Session> {
    return this.#engine.sessions.fork(this.id, options);
  }
  delete(): Promise<boolean> {
    return this.#engine.sessions.delete(this.id);
  }
  events(options?: Omit<SubscribeOptions, 'sessionId'>): AsyncGenerator<EngineEvent, void, void> {
    return this.#engine.events.subscribe({ ...options, sessionId: this.id });
  }
}

/** What the parts of a handle share. */
class Scoped {
  protected readonly engine: SessionServices;
  protected readonly id: string;

  constructor(engine: SessionServices, id: string) {
    this.engine = engine;
    this.id = id;
  }
}

export class SessionMessages extends Scoped {
  append(message: MessageInput, options?: AppendOptions): Promise<Message>;
  append(messages: readonly MessageInput[], options?: AppendOptions): Promise<Message[]>;
  append(
    input: MessageInput | readonly MessageInput[],
    options?: AppendOptions,
  ): Promise<Message | Message[]> {
    return this.engine.messages.append(this.id, input as MessageInput, options);
  }
  list(options?: ListOptions): Promise<Message[]>;
  list<F extends MessageFormat>(options: ListOptions & { as: F }): Promise<FormattedMessages[F][]>;
  list(options?: ListOptions & { as?: MessageFormat }): Promise<unknown[]> {
    return this.engine.messages.list(this.id, options as ListOptions);
  }
  get(messageId: string, options?: { channel?: string }): Promise<Message> {
    return this.engine.messages.get(this.id, messageId, options);
  }
  edit(messageId: string, changes: EditMessage, options?: { channel?: string }): Promise<Message> {
    return this.engine.messages.edit(this.id, messageId, changes, options);
  }
  pop(options?: { count?: number; channel?: string }): Promise<Message[]> {
    return this.engine.messages.pop(this.id, options);
  }
  truncate(range: { beforeSeq?: number; afterSeq?: number; channel?: string }): Promise<number> {
    return this.engine.messages.truncate(this.id, range);
  }
  readOffloaded(handle: string, options?: { channel?: string }): Promise<Offloaded> {
    return this.engine.messages.readOffloaded(this.id, handle, options);
  }
  search(query: string, options?: Omit<SearchMessages, 'sessionId' | 'userId'>): Promise<MessageSearch> {
    return this.engine.messages.search(query, { ...options, sessionId: this.id });
  }
  settled(): Promise<void> {
    return this.engine.messages.settled();
  }
  clear(options?: { channel?: string }): Promise<number> {
    return this.engine.messages.clear(this.id, options);
  }
}

export class SessionChannels extends Scoped {
  open(input: OpenChannel): Promise<Channel> {
    return this.engine.channels.open(this.id, input);
  }
  get(channelId: string): Promise<Channel> {
    return this.engine.channels.get(this.id, channelId);
  }
  list(): Promise<Channel[]> {
    return this.engine.channels.list(this.id);
  }
  send(channelId: string, message: SendMessage): Promise<Message> {
    return this.engine.channels.send(this.id, channelId, message);
  }
}

export class SessionState extends Scoped {
  get(): Promise<StateDocument> {
    return this.engine.state.get(this.id);
  }
  set(key: string, value: Json, options?: WriteState): Promise<StateDocument> {
    return this.engine.state.set(this.id, key, value, options);
  }
  merge(patch: Record<string, unknown>, options?: WriteState): Promise<StateDocument> {
    return this.engine.state.merge(this.id, patch, options);
  }
  delete(key?: string, options?: WriteState): Promise<StateDocument> {
    return this.engine.state.delete(this.id, key, options);
  }
}

export class SessionWindow extends Scoped {
  build(options?: BuildWindow): Promise<BuiltWindow>;
  build<F extends MessageFormat>(
    options: BuildWindow & { as: F },
  ): Promise<BuiltWindow<FormattedMessages[F]>>;
  build(options: BuildWindow & { as?: MessageFormat } = {}): Promise<BuiltWindow<unknown>> {
    return this.engine.window.build(this.id, options as BuildWindow);
  }
  compact(options?: CompactOptions): Promise<CompactionResult> {
    return this.engine.window.compact(this.id, options);
  }
  compactions(options?: { limit?: number; before?: string; channel?: string }): Promise<Compaction[]> {
    return this.engine.window.compactions(this.id, options);
  }
  undo(compactionId?: string, options?: { channel?: string }): Promise<Compaction> {
    return this.engine.window.undo(this.id, compactionId, options);
  }
  reportUsage(report: UsageReport): Promise<void> {
    return this.engine.window.reportUsage(this.id, report);
  }
  usage(): Promise<SessionUsage> {
    return this.engine.window.usage(this.id);
  }
  manifests(options?: { limit?: number; before?: string; channel?: string }): Promise<WindowManifest[]> {
    return this.engine.window.manifests(this.id, options);
  }
  replay(manifestId: string): Promise<ReplayedWindow> {
    return this.engine.window.replay(this.id, manifestId);
  }
}

export class SessionMemory extends Scoped {
  add(memory: Omit<AddMemory, 'userId' | 'sessionId'>): Promise<AddedMemory> {
    return this.engine.memory.add({ ...memory, sessionId: this.id });
  }
  list(options?: Omit<ListMemories, 'userId' | 'sessionId'>): Promise<{ memories: Memory[]; next?: string }> {
    return this.engine.memory.list({ ...options, sessionId: this.id });
  }
  search(query: string, options?: Omit<SearchMemories, 'userId' | 'sessionId'>): Promise<MemorySearch> {
    return this.engine.memory.search(query, { ...options, sessionId: this.id });
  }
  searchByTags(
    tags: readonly string[],
    options?: Omit<SearchByTags, 'userId' | 'sessionId'>,
  ): Promise<Memory[]> {
    return this.engine.memory.searchByTags(tags, { ...options, sessionId: this.id });
  }
  extract(options: ExtractMemories): Promise<Extraction> {
    return this.engine.memory.extract(this.id, options);
  }
}

export class SessionTasks extends Scoped {
  open(input?: Omit<OpenTask, 'sessionId'>): Promise<TaskContext> {
    return this.engine.tasks.open({ ...input, sessionId: this.id });
  }
  run<T>(input: Omit<OpenTask, 'sessionId'>, body: RunBody<T>): Promise<T> {
    return this.engine.tasks.run({ ...input, sessionId: this.id }, body);
  }
  list(options?: Pick<ListTasks, 'after' | 'limit'>): Promise<{ tasks: Task[]; next?: string }> {
    return this.engine.tasks.list({ ...options, sessionId: this.id });
  }
  record(update: RecordUpdate): Promise<TimelineUpdate> {
    return this.engine.tasks.record(this.id, update);
  }
  timeline(options?: TimelineOptions): Promise<{ items: TimelineItem[]; next?: string }> {
    return this.engine.tasks.timeline(this.id, options);
  }
  usage(): Promise<TaskUsage> {
    return this.engine.tasks.usage({ sessionId: this.id });
  }
}

/** Calls of the session: each is in its timeline. */
export class SessionTools extends Scoped {
  execute<P, R>(tool: Tool<P, R>, params: P, options?: SessionCallOptions): Promise<ToolResult<R>>;
  execute(tool: string | Tool, params?: unknown, options?: SessionCallOptions): Promise<ToolResult>;
  execute(tool: string | Tool, params?: unknown, options?: SessionCallOptions): Promise<ToolResult> {
    return this.engine.tools.execute(tool, params, { ...options, sessionId: this.id });
  }
  chain(chain: Chain, options?: SessionCallOptions): Promise<ChainResult> {
    return this.engine.tools.chain(chain, { ...options, sessionId: this.id });
  }
  readResult(handle: string, options?: ReadResult): Promise<ResultPart> {
    return this.engine.tools.readResult(this.id, handle, options);
  }
}

type SessionCallOptions = Omit<ToolCallOptions, 'sessionId'>;
