import { isConflict } from '../errors.ts';
import { decodeJson, encodeJson, MESSAGE_LIMITS } from '../json.ts';
import { indexes, kinds, sessionExists, TIMELINE_LOG } from '../partitions.ts';
import { missingSession, type ServiceContext } from '../services.ts';
import { type Activity, expiredAmong } from '../sessions/activity.ts';
import { type IndexEntry, type Operation, type Partition, PROVISIONAL } from '../store.ts';
import { type Gap, gapsOf } from './gaps.ts';
import { sizeOf, type Tracked } from './history.ts';
import { Others } from './others.ts';
import type { LoadedTask, Snapshot, StepGroup, TaskEnd, TaskState, TaskStorage } from './storage.ts';
import { counted, missingTask, taskExists } from './timeline.ts';
import type { TrackedFile, TrackedModel } from './tracker.ts';
import { type ContextUpdate, toUpdate, updateEntry } from './update.ts';
import { summedDeltas } from './usage.ts';

/** What a history leaves out of the log, and what is known of files and models up to a seq. */
interface Trim {
  gaps: Gap[];
  upTo: number;
  files: Record<string, TrackedFile>;
  models: TrackedModel[];
}

/** A task's place in a store. */
export interface TaskPlace {
  partition: Partition;
  taskId: string;
  /** The session whose partition it is, where it is one's. */
  sessionId: string | undefined;
}

export interface LogServices {
  context: ServiceContext;
  activity: Activity;
}

const PAGE = 1000;

/** A task in a store: updates in its partition's timeline, everything else in records. */
export class TaskLog implements TaskStorage {
  readonly #services: LogServices;
  readonly #place: TaskPlace;
  #gaps: readonly Gap[];
  #savedState: string;
  /** The last seq of this task that is known here. */
  #lastSeq: number;
  readonly #others: Others;

  constructor(services: LogServices, place: TaskPlace, found: FoundTask) {
    this.#services = services;
    this.#place = place;
    this.#gaps = found.gaps;
    this.#savedState = JSON.stringify(found.state);
    this.#lastSeq = found.history.at(-1)?.seq ?? 0;
    this.#others = new Others(found.updates, this.#lastSeq);
  }

  async append({ id, steps }: StepGroup): Promise<void> {
    const { taskId, sessionId } = this.#place;
    const updates = steps.flatMap(({ tracked }) => tracked ?? []);
    const usage = summedDeltas(steps.flatMap((step) => (step.usage ? [step.usage] : [])));
    const operations: Operation[] = [];
    if (updates.length > 0) {
      const entries = updates.map(({ n, update }) => updateEntry(update, 'update', `${id}-${n}`, taskId));
      operations.push({ op: 'append', log: TIMELINE_LOG, entries });
    }
    operations.push(taskExists(taskId), counted(taskId, { ...usage, updates: updates.length }));
    if (sessionId !== undefined && Object.keys(usage).length > 0)
      operations.push({ op: 'add', kind: kinds.taskTotals, id: kinds.taskTotals, deltas: usage });
    const receipt = await this.#commit(operations, id);
    const { seqs = [] } = receipt.results[0]!;
    for (const [i, tracked] of updates.entries()) {
      tracked.seq = seqs[i]!;
      if (seqs[i]! < PROVISIONAL) this.#lastSeq = Math.max(this.#lastSeq, seqs[i]!);
    }
    const counters = receipt.results.find((result) => result.counters?.updates !== undefined)?.counters;
    this.#others.wrote(seqs, counters?.updates);
  }

  async save(snapshot: Snapshot): Promise<void> {
    const { state, end, removed } = snapshot;
    const { taskId } = this.#place;
    const operations: Operation[] = [];
    const text = JSON.stringify(state);
    if (text === this.#savedState) operations.push(taskExists(taskId));
    else operations.push(putTask(state, 'present'));
    if (end) operations.push({ op: 'put', kind: kinds.taskEnd, id: taskId, value: encodeJson(end, 'end') });
    const trim = removed.length > 0 ? await this.#trim(snapshot) : undefined;
    if (trim) {
      const value = encodeJson(trim, 'task', MESSAGE_LIMITS);
      operations.push({ op: 'put', kind: kinds.taskTrim, id: taskId, value });
    }
    await this.#commit(operations);
    if (end) this.#tellEnd(end);
    this.#savedState = text;
    if (trim) this.#gaps = trim.gaps;
  }

  /** What was removed, and nothing else: what others have added since the task was opened stays. */
  async #trim({ kept, removed, files, models }: Snapshot): Promise<Trim> {
    const upTo = this.#lastSeq;
    const others = this.#others;
    const after = others.unseenAfter;
    if (after !== undefined) {
      const range = { after, before: upTo + 1 };
      const all: { seq: number; update: ContextUpdate }[] = [];
      await readPiece(this.#services.context, this.#place, range, (page) => void all.push(...page));
      others.saw(all);
    }
    others.seen(upTo);
    const gaps = gapsOf(this.#gaps, seqsOf(removed), others.withSeqs(seqsOf(kept)));
    const used = others.withUsed(files, models);
    return { gaps, upTo, files: used.files, models: used.models };
  }

  #tellEnd({ durationMs, failed }: TaskEnd): void {
    const { taskId, sessionId } = this.#place;
    const ids = { taskId, ...(sessionId !== undefined && { sessionId }) };
    this.#services.context.log.info({ ...ids, ms: durationMs, failed }, 'task closed');
  }

  #commit(operations: readonly Operation[], id?: string) {
    return commitTask(this.#services, this.#place, operations, id);
  }
}

/** Commits to the partition of a task that is there: the operations say so. @throws NotFoundError where it is not */
export async function commitTask(
  services: LogServices,
  place: TaskPlace,
  operations: readonly Operation[],
  id?: string,
) {
  try {
    return await commitAt(services, place, operations, id);
  } catch (error) {
    throw missingTask(error, place.taskId);
  }
}

/** Makes a task. @returns false where somebody else has made it meanwhile */
export async function createTask(
  services: LogServices,
  place: TaskPlace,
  state: TaskState,
): Promise<boolean> {
  try {
    await commitAt(services, place, [putTask(state, 'absent')]);
    return true;
  } catch (error) {
    if (isConflict(error) && error.details?.kind === kinds.task) return false;
    throw error;
  }
}

/** Where the partition is a session's, that must be there, and was used. @throws NotFoundError */
async function commitAt(
  { context, activity }: LogServices,
  { partition, sessionId }: TaskPlace,
  operations: readonly Operation[],
  id?: string,
) {
  const commit = (also: readonly Operation[]) =>
    context.store.commit({
      partition,
      operations: [...operations, ...also],
      ...(id !== undefined && { id }),
    });
  try {
    if (sessionId === undefined) return await commit([]);
    return await activity.using(sessionId, (used) => commit([sessionExists, ...used]));
  } catch (error) {
    throw sessionId === undefined ? error : missingSession(error, sessionId);
  }
}

export function putTask(state: TaskState, ifVersion: 'absent' | 'present'): Operation {
  const { id, userId, chatId, sessionId, createdAt: order } = state;
  const places: IndexEntry[] = [
    { index: indexes.tasks, key: '', order },
    { index: indexes.tasksById, key: id, order },
    { index: indexes.tasksByChat, key: chatId, order },
    { index: indexes.tasksByUser, key: userId, order },
  ];
  if (sessionId !== undefined) places.push({ index: indexes.tasksBySession, key: sessionId, order });
  return {
    op: 'put',
    kind: kinds.task,
    id,
    value: encodeJson(state, 'task', MESSAGE_LIMITS),
    ifVersion,
    indexes: places,
  };
}

/** A task as it is stored, without its history. */
export interface StoredTask {
  state: TaskState;
  end: TaskEnd | undefined;
  /** How many updates it has had. */
  updates: number;
  /** The fields of its counters. */
  counters: Record<string, number>;
}

export interface FoundTask extends LoadedTask {
  /** How many updates it has had. */
  updates: number;
  gaps: readonly Gap[];
}

/** The tasks at places, in their order; undefined also where the session has expired that they belong to. */
export async function readTasks(
  context: ServiceContext,
  places: readonly { partition: Partition; taskId: string }[],
): Promise<(StoredTask | undefined)[]> {
  const keys = places.flatMap(({ partition, taskId: id }) =>
    [kinds.task, kinds.taskEnd, kinds.taskCounters].map((kind) => ({ partition, kind, id })),
  );
  if (keys.length === 0) return [];
  const sessions = places.flatMap(({ partition: { type, id } }) => (type === 'session' ? id : []));
  const [records, expired] = await Promise.all([
    context.store.getRecords(keys),
    expiredAmong(context, new Set(sessions)),
  ]);
  return places.map(({ partition }, i) => {
    const [task, ended, counted] = records.slice(i * 3, i * 3 + 3);
    if (!task || (partition.type === 'session' && expired.has(partition.id))) return undefined;
    const counters = counted ? decodeJson<Record<string, number>>(counted.value) : {};
    return {
      state: decodeJson<TaskState>(task.value),
      end: ended && decodeJson<TaskEnd>(ended.value),
      updates: counters.updates ?? 0,
      counters,
    };
  });
}

/** A task with its history: reads what is left of it, however long the log is. */
export async function loadTask(context: ServiceContext, place: TaskPlace): Promise<FoundTask | undefined> {
  const { partition, taskId } = place;
  const [[found], trim] = await Promise.all([
    readTasks(context, [place]),
    context.records.get<Trim>(partition, kinds.taskTrim, taskId),
  ]);
  if (!found) return undefined;
  const { gaps, upTo, files, models } = trim?.value ?? { gaps: [], upTo: 0, files: {}, models: [] };
  const history: Tracked[] = [];
  const add = (updates: readonly { seq: number; update: ContextUpdate }[]) => {
    for (const { seq, update } of updates)
      history.push({ n: history.length + 1, update, size: sizeOf(update.data), seq });
  };
  let after = 0;
  for (const [first, last] of gaps) {
    await readPiece(context, place, { after, before: first }, add);
    after = last;
  }
  await readPiece(context, place, { after }, add);
  const told = history.filter(({ seq }) => seq! <= upTo).length;
  const { state, end, updates, counters: usage } = found;
  const durationMs = end?.durationMs ?? 0;
  return { state, end, history, told, files, models, usage, n: history.length, durationMs, gaps, updates };
}

async function readPiece(
  { store }: ServiceContext,
  { partition, taskId: mark }: TaskPlace,
  { after, before }: { after: number; before?: number },
  take: (updates: readonly { seq: number; update: ContextUpdate }[]) => void,
): Promise<void> {
  for (let from = after; before === undefined || from + 1 < before; ) {
    const range = { after: from, limit: PAGE, mark, ...(before !== undefined && { before }) };
    const { entries } = await store.readLog(partition, TIMELINE_LOG, range);
    take(entries.map((entry) => ({ seq: entry.seq, update: toUpdate(entry) })));
    if (entries.length < PAGE) return;
    from = entries.at(-1)!.seq;
  }
}

/** Seqs that can be relied on, ascending as the history is. */
function seqsOf(history: readonly Tracked[]): number[] {
  return history.flatMap(({ seq }) => (seq !== undefined && seq < PROVISIONAL ? [seq] : []));
}
