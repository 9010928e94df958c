import { z } from 'zod';
import { type Clock, systemClock } from '../clock.ts';
import { ClosedError } from '../errors.ts';
import { idSchema, objectSchema, parseInput, timeSchema } from '../input.ts';
import { decodeJson, encodeJson, type Json, type JsonObject } from '../json.ts';
import { copyOf, mergedMetadata } from '../metadata.ts';
import { MAX_TIMER_MS } from '../store-options.ts';
import { told } from './failure.ts';
import { taskDataShape } from './given.ts';
import { History, type Tracked } from './history.ts';
import { Outbox } from './outbox.ts';
import { asynchronous, type ReleaseFailure, Resources, releaseError } from './resources.ts';
import { watchSignals } from './signals.ts';
import type { LoadedTask, Snapshot, TaskEnd, TaskState, TaskStorage } from './storage.ts';
import { readTaskJson, type TaskJson, taskJsonOf } from './task-json.ts';
import { type TrackedFile, type TrackedModel, Tracker } from './tracker.ts';
import { type ContextUpdate, type UpdateType, updateShape } from './update.ts';
import {
  type CallUsage,
  callUsageSchema,
  modelSchema,
  type TaskUsage,
  UsageSums,
  usageDeltas,
} from './usage.ts';

export interface ContextOptions {
  /** Keeps the history within `maxSize` by itself; false where absent. */
  autoOptimize?: boolean | undefined;
  /** Characters of data that {@link TaskContext.optimize} leaves; 1000 where absent. */
  maxSize?: number | undefined;
  /** How long a resource may take to be released (milliseconds; 5000). */
  releaseTimeoutMs?: number | undefined;
  /** Releases the resources and saves on SIGINT and SIGTERM, too, which then take their course; false where absent. */
  releaseOnSignals?: boolean | undefined;
}

const maxSizeSchema = z.int().min(0);
const timeoutSchema = z.int().min(1).max(MAX_TIMER_MS);
export const contextOptionsShape = {
  autoOptimize: z.boolean().optional(),
  maxSize: maxSizeSchema.optional(),
  releaseTimeoutMs: timeoutSchema.optional(),
  releaseOnSignals: z.boolean().optional(),
};
const updateSchema = z.strictObject({
  updateType: updateShape.updateType,
  metadata: updateShape.metadata,
});
const resourceSchema = z.strictObject({ name: idSchema, timeoutMs: timeoutSchema.optional() });
const fileSchema = z.strictObject({
  path: z.string().min(1).max(1024),
  operation: idSchema.max(64),
  source: idSchema.max(64),
});
const ownSchema = z.strictObject({
  metadata: taskDataShape.metadata.nonoptional(),
  metadataToggles: taskDataShape.metadataToggles,
});
const toggleSchema = z.strictObject({ key: idSchema, on: z.boolean() });

const DONE = Promise.resolve();
/** One for all that have none. */
const NO_METADATA: JsonObject = Object.freeze({});

/** What a context is made with by those who open one. */
export interface ContextParts {
  clock: Clock;
  /** Where it is kept; nowhere where absent. */
  storage?: TaskStorage | undefined;
  options: ContextOptions;
  /** Whether the task has ended, for its storage, when this context is closed; true where absent. */
  ends?: boolean | undefined;
}

/**
 * What one task of an agent does, holds open and uses. Open one with `taskContext` or `engine.tasks.open`, and let it go
 * with `await using`, or `close`: its resources are released then, and what happened is saved.
 */
export class TaskContext implements AsyncDisposable, Disposable {
  readonly id: string;
  readonly userId: string;
  readonly chatId: string;
  /** The session that it belongs to, where it belongs to one. */
  readonly sessionId: string | undefined;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  /** What is changed here is saved with the next `save`, or at the end. */
  metadata: JsonObject;
  /** Fields of the metadata that are switched off have `false` here. */
  metadataToggles: Record<string, boolean>;
  readonly #clock: Clock;
  readonly #options: ContextOptions;
  readonly #outbox: Outbox | undefined;
  readonly #storage: TaskStorage | undefined;
  readonly #history: History;
  readonly #tracker = new Tracker();
  readonly #usage = new UsageSums();
  readonly #resources = new Resources();
  readonly #startedAt: number;
  readonly #durationBefore: number;
  readonly #unwatch: () => void;
  readonly #ends: boolean;
  #n: number;
  #checkedType: UpdateType = 'message';
  #end: TaskEnd | undefined;
  #failed = false;
  #closing: Promise<void> | undefined;

  /** Not meant to be called: see `taskContext` and `engine.tasks.open`. */
  constructor(loaded: LoadedTask, { clock, storage, options, ends = true }: ContextParts) {
    const { state } = loaded;
    this.id = state.id;
    this.userId = state.userId;
    this.chatId = state.chatId;
    this.sessionId = state.sessionId;
    this.createdAt = state.createdAt;
    this.metadata = state.metadata;
    this.metadataToggles = state.metadataToggles;
    this.#clock = clock;
    this.#options = options;
    this.#n = loaded.n;
    this.#startedAt = clock.now();
    this.#durationBefore = loaded.durationMs;
    this.#end = loaded.end;
    if (loaded.end) this.#closing = DONE;
    this.#tracker.restore(loaded.files, loaded.models);
    this.#usage.add(loaded.usage);
    this.#storage = storage;
    const outbox = storage && new Outbox(storage, (removed) => this.#snapshot(removed));
    this.#outbox = outbox;
    this.#history = new History(outbox && ((removed) => outbox.remove(removed)));
    for (const [i, tracked] of loaded.history.entries()) {
      this.#history.add(tracked);
      if (i >= loaded.told) this.#tracker.see(tracked.update);
    }
    this.#ends = ends;
    if (!ends) this.#outbox?.markSaved();
    if (options.autoOptimize && !loaded.end) this.#bound();
    this.#unwatch = options.releaseOnSignals ? watchSignals(this) : () => undefined;
  }

  /**
   * A context as it was, which is kept nowhere: what `toJSON` gave. One that had ended takes no more updates.
   * @throws InvalidInputError with every problem
   */
  static fromJSON(json: unknown, options: ContextOptions = {}): TaskContext {
    const given = parseInput(z.strictObject(contextOptionsShape), options, 'TaskContext.fromJSON: options');
    return new TaskContext(readTaskJson(json), { clock: systemClock, options: given });
  }

  /** What happened, oldest first; what `optimize` and `truncate` have removed is not in it. */
  get history(): readonly ContextUpdate[] {
    return this.#history.updates;
  }

  /** Characters of data in the history. */
  get size(): number {
    return this.#history.size;
  }

  /** The last operation on each file, by path; the 1000 files that were used last. */
  get fileTracker(): Record<string, TrackedFile> {
    return this.#tracker.files;
  }

  /** The models that were used, oldest first; none directly after itself in the same mode, and the last 200. */
  get models(): TrackedModel[] {
    return this.#tracker.models;
  }

  /** What its models have used, each call counted. */
  get usage(): TaskUsage {
    return this.#usage.total();
  }

  /** The names of the resources that are held. */
  get resources(): string[] {
    return this.#resources.names;
  }

  /** How many changes are not durable yet, and what keeps them from being so. 0 without storage. */
  get unsaved(): { changes: number; failure?: unknown } {
    const { pending = 0, failure } = this.#outbox ?? {};
    return { changes: pending, ...(failure !== undefined && { failure }) };
  }

  /** Milliseconds since it was opened, up to its end; with what it took when it was open before. */
  get durationMs(): number {
    if (this.#end) return this.#end.durationMs;
    return this.#durationBefore + Math.max(0, this.#clock.now() - this.#startedAt);
  }

  get closed(): boolean {
    return this.#end !== undefined;
  }

  /** The metadata without the fields that are switched off. */
  activeMetadata(): JsonObject {
    const { metadataToggles: toggles } = this;
    const active = Object.entries(this.metadata).filter(
      ([key]) => !Object.hasOwn(toggles, key) || toggles[key] !== false,
    );
    return Object.fromEntries(active);
  }

  /** Merges into the metadata, field by field; null removes a field. Told by an update of type `metadata`. */
  updateMetadata(changes: Record<string, unknown>): Promise<void> {
    parseInput(objectSchema, changes, 'updateMetadata');
    this.#checkOpen();
    this.metadata = copyOf(mergedMetadata(this.metadata, copyOf(changes)));
    return this.addUpdate('metadata', changes);
  }

  /** Switches a field of the metadata on or off: it stays, but is not active. */
  toggleMetadata(key: string, on: boolean): void {
    parseInput(toggleSchema, { key, on }, 'toggleMetadata');
    this.#checkOpen();
    this.metadataToggles = Object.fromEntries([...Object.entries(this.metadataToggles), [key, on]]);
  }

  /**
   * Adds to the history. It is there at once; the promise resolves when it is durable, at once where the context is kept
   * nowhere. It need not be awaited: what can't be written is kept, tried again, and told by `save` and at the end.
   * @throws InvalidInputError at once, for what is no JSON or above 1 MiB; ClosedError after the end
   */
  addUpdate(updateType: UpdateType, data: unknown = null, metadata?: Record<string, unknown>): Promise<void> {
    // A type that was let pass once need not be looked at again: many updates are added.
    if (updateType !== this.#checkedType || metadata !== undefined) {
      parseInput(updateSchema, { updateType, ...(metadata !== undefined && { metadata }) }, 'addUpdate');
      this.#checkedType = updateType;
    }
    return this.#add(updateType, data, metadata);
  }

  /** Notes an operation on a file: an update of type `file_operation`, and an entry of `fileTracker`. */
  trackFile(path: string, operation: string, source = 'task'): Promise<void> {
    parseInput(fileSchema, { path, operation, source }, 'trackFile');
    return this.#add('file_operation', { path, operation }, { source });
  }

  /**
   * Notes a call of a model: an update of type `model_usage`, and an entry of `models`, unless it is the one that was
   * used last, in the same mode. What it has used is added to the sums either way.
   */
  trackModel(modelId: string, providerId: string, mode: string, usage: CallUsage = {}): Promise<void> {
    const model = parseInput(modelSchema, { modelId, providerId, mode }, 'trackModel');
    const used = parseInput(callUsageSchema, usage, 'trackModel: usage');
    const deltas = usageDeltas(modelId, providerId, used);
    this.#checkOpen();
    if (!this.#tracker.isLast(model)) {
      const data = { ...model, ...(Object.keys(used).length > 0 && { usage: used }) };
      return this.#add('model_usage', data, undefined, deltas);
    }
    this.#usage.add(deltas);
    return this.#outbox?.add({ n: ++this.#n, usage: deltas }) ?? DONE;
  }

  /**
   * Holds something that is released at the end, in reverse order: by `[Symbol.asyncDispose]`, `[Symbol.dispose]`,
   * `close`, `end`, `destroy` or `release`, whichever it has first. Two may have the same name: both are released.
   * @param options.timeoutMs how long it may take; `releaseTimeoutMs` where absent
   * @returns the resource
   * @throws InvalidInputError for one that has none of these methods; ClosedError once the task is being closed
   */
  addResource<T extends object>(name: string, resource: T, options: { timeoutMs?: number } = {}): T {
    const given = parseInput(resourceSchema, { ...options, name }, 'addResource');
    if (this.#closing) throw new ClosedError('task');
    const { timeoutMs = this.#options.releaseTimeoutMs ?? 5000 } = given;
    this.#resources.add(name, resource, timeoutMs);
    this.#add('resource', { name }, { type: typeOf(resource) });
    return resource;
  }

  /** Releases the resources of a name before the end. @throws ReleaseError @returns false where there was none */
  async releaseResource(name: string): Promise<boolean> {
    const held = this.#resources.names.includes(name);
    const error = releaseError(await this.#resources.release(name));
    if (error) throw error;
    return held;
  }

  /**
   * Keeps the newest of equal updates (type and data), and of those, the newest first, what fits into `maxSize`
   * characters of data. Files, models and sums stay known, and a session's timeline keeps all.
   * @returns whether anything was removed
   */
  optimize(maxSize = this.#options.maxSize ?? 1000): boolean {
    parseInput(maxSizeSchema, maxSize, 'optimize: maxSize');
    return this.#history.optimize(maxSize) > 0;
  }

  /** Takes updates out of the history that came after a time (epoch milliseconds). @returns whether there were any */
  truncate(timestamp: number): boolean {
    parseInput(timeSchema, timestamp, 'truncate: timestamp');
    return this.#history.truncate(timestamp) > 0;
  }

  /** What a call is given: the task, its active metadata, history, files and models; `data` goes over it. */
  buildContext(data: Record<string, unknown> = {}): Record<string, unknown> {
    parseInput(objectSchema, data, 'buildContext');
    const { metadata: added, ...rest } = data;
    const extra = added === undefined ? {} : parseInput(objectSchema, added, 'buildContext: metadata');
    return {
      taskId: this.id,
      userId: this.userId,
      chatId: this.chatId,
      history: [...this.history],
      fileTracker: this.fileTracker,
      models: this.models,
      ...rest,
      metadata: { ...this.activeMetadata(), ...extra },
    };
  }

  /** All of it, as `TaskContext.fromJSON` takes it. */
  toJSON(): TaskJson {
    return taskJsonOf(this, this.#end);
  }

  /** Makes durable what is not yet, what has failed before included. Does nothing where the context is kept nowhere. */
  async save(): Promise<void> {
    await this.#outbox?.save();
  }

  /**
   * Ends the task: releases its resources in reverse order, each within its time, and saves. A second call does nothing.
   * @throws ReleaseError with all that failed
   */
  close(): Promise<void> {
    // Not before it is known that it is closing: a resource may ask for that itself.
    this.#closing ??= Promise.resolve().then(() => this.#close());
    return this.#closing;
  }

  /** The same for a task whose body has thrown; what was thrown is told by an update of type `error`. */
  fail(error: unknown): Promise<void> {
    if (!this.#closing) {
      this.#failed = true;
      this.#addError('body', error);
    }
    return this.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Ends the task without waiting. @throws ReleaseError, where something had to be waited for: then use `await using` */
  [Symbol.dispose](): void {
    if (this.#closing) return;
    this.#closing = DONE;
    const failures = this.#resources.releaseSync();
    this.#finish(failures);
    try {
      if (this.#outbox && !this.#outbox.saveSync()) {
        failures.push({ name: 'history', error: asynchronous('saving the history') });
        this.#outbox.save().catch(() => undefined);
      }
    } catch (error) {
      failures.push({ name: 'history', error });
    } finally {
      this.#storage?.close?.();
    }
    const error = releaseError(failures);
    if (error) throw error;
  }

  async #close(): Promise<void> {
    const failures = await this.#resources.release();
    this.#finish(failures);
    try {
      await this.save();
    } catch (error) {
      if (failures.length === 0) throw error;
      failures.push({ name: 'history', error });
    } finally {
      this.#storage?.close?.();
    }
    const error = releaseError(failures);
    if (error) throw error;
  }

  #finish(failures: readonly ReleaseFailure[]): void {
    for (const { name, error } of failures) this.#addError(name, error);
    const { durationMs } = this;
    this.#end = { closedAt: this.#clock.now(), failed: this.#failed, durationMs };
    this.#unwatch();
  }

  #add(
    updateType: UpdateType,
    data: unknown,
    metadata: Record<string, unknown> | undefined,
    usage?: Readonly<Record<string, number>>,
  ): Promise<void> {
    this.#checkOpen();
    const text = encodeJson(data, 'data');
    // Read back from its text, so that the caller's object can't change it.
    const copy = typeof data === 'object' ? decodeJson<Json>(text) : (data as Json);
    const about = metadata === undefined ? '' : encodeJson(metadata, 'metadata');
    const update: ContextUpdate = {
      timestamp: this.#clock.now(),
      updateType,
      data: copy,
      metadata: about === '' ? NO_METADATA : decodeJson<JsonObject>(about),
    };
    const size = typeof copy === 'string' ? copy.length : text.length;
    const tracked: Tracked = { n: ++this.#n, update, size };
    this.#history.add(tracked);
    this.#tracker.see(update);
    if (usage) this.#usage.add(usage);
    const step = { n: tracked.n, tracked, ...(usage && { usage }) };
    const done = this.#outbox?.add(step, size + about.length) ?? DONE;
    if (this.#options.autoOptimize) this.#bound();
    return done;
  }

  #addError(where: string, error: unknown): void {
    this.#add('error', told(error), { in: where });
  }

  #bound(): void {
    this.#history.bound(this.#options.maxSize ?? 1000);
  }

  #checkOpen(): void {
    if (this.#end) throw new ClosedError('task');
  }

  #snapshot(removed: readonly Tracked[]): Snapshot {
    const { id, userId, chatId, sessionId, createdAt } = this;
    const session = sessionId === undefined ? {} : { sessionId };
    // Both can be changed by anybody.
    const given = parseInput(
      ownSchema,
      { metadata: this.metadata, metadataToggles: this.metadataToggles },
      'task',
    );
    const metadata = copyOf(given.metadata);
    const metadataToggles = { ...given.metadataToggles };
    const state: TaskState = { id, userId, chatId, ...session, metadata, metadataToggles, createdAt };
    const { files, models } = this.#tracker;
    return {
      state,
      end: this.#ends ? this.#end : undefined,
      durationMs: this.durationMs,
      kept: this.#history.tracked,
      removed,
      files,
      models,
      usage: this.#usage.toJSON(),
      n: this.#n,
    };
  }
}

/** The name of its class. */
function typeOf(resource: object): string {
  const { name } = Object(resource.constructor) as { name?: unknown };
  return typeof name === 'string' && name !== '' ? name.slice(0, 100).toWellFormed() : 'Object';
}
