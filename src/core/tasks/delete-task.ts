import { ConflictError, isConflict } from '../errors.ts';
import { kinds, TIMELINE_LOG } from '../partitions.ts';
import type { IfVersion, Operation } from '../store.ts';
import { commitTask, type LogServices, type TaskPlace } from './task-log.ts';
import { toUpdate, updateEntry } from './update.ts';

/** So many updates are emptied at once. */
const PAGE = 500;
/** Others may add to the task meanwhile: then what they have added is looked for. */
const TRIES = 20;

/**
 * Deletes a task that has a place. One that belongs to a session leaves its updates in the timeline, which is never
 * shortened, but empty: only their time is left. They go first: when this is cut short, the task is there to be deleted.
 */
export async function deleteTask(services: LogServices, place: TaskPlace): Promise<boolean> {
  const { store } = services.context;
  const { partition, taskId, sessionId } = place;
  if (sessionId === undefined) {
    const receipt = await store.commit({ partition, operations: [{ op: 'drop' }] });
    return receipt.results[0]!.count === 1;
  }
  const of = (kind: string) => ({ kind, id: taskId });
  for (let tries = 0; tries < TRIES; tries++) {
    const [task, counters] = await store.getRecords([
      { partition, ...of(kinds.task) },
      { partition, ...of(kinds.taskCounters) },
    ]);
    if (!task) return false;
    await emptyUpdates(services, place);
    // Each update counts: one that came in meanwhile is not overlooked.
    const ifVersion: IfVersion = counters?.version ?? 'absent';
    const left = [kinds.taskEnd, kinds.taskTrim, kinds.taskCounters];
    try {
      await commitTask(services, place, [
        { op: 'check', ...of(kinds.taskCounters), ifVersion },
        { op: 'delete', ...of(kinds.task), ifVersion: 'present' },
        ...left.map((kind): Operation => ({ op: 'delete', ...of(kind) })),
      ]);
      return true;
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
  }
  throw new ConflictError('the task is written to all the time', undefined, {
    hint: 'Close it where it is open, and delete it then.',
  });
}

async function emptyUpdates(services: LogServices, place: TaskPlace): Promise<void> {
  const { store } = services.context;
  const { partition, taskId: mark } = place;
  for (;;) {
    const { entries } = await store.readLog(partition, TIMELINE_LOG, { mark, limit: PAGE });
    if (entries.length === 0) return;
    // A commit each, which go out together: a batch writes to a log once.
    await Promise.all(
      entries.map((entry) => {
        const { timestamp } = toUpdate(entry);
        const { value } = updateEntry({ timestamp, updateType: 'deleted', data: null, metadata: {} });
        return commitTask(services, place, [
          { op: 'rewrite', log: TIMELINE_LOG, seq: entry.seq, value, mark: null },
        ]);
      }),
    );
  }
}
