import type { JsonObject } from '../json.ts';
import type { Tracked } from './history.ts';
import type { TrackedFile, TrackedModel } from './tracker.ts';

/** What a task is, its history aside. */
export interface TaskState {
  id: string;
  userId: string;
  chatId: string;
  /** The session that it belongs to, where it belongs to one. */
  sessionId?: string;
  metadata: JsonObject;
  metadataToggles: Record<string, boolean>;
  /** Epoch milliseconds. */
  createdAt: number;
}

/** How a task ended. */
export interface TaskEnd {
  /** Epoch milliseconds. */
  closedAt: number;
  /** Whether its body threw. */
  failed: boolean;
  durationMs: number;
}

/** Something that happened: an update, or only what a model has used once more. */
export interface Step {
  readonly n: number;
  readonly tracked?: Tracked;
  /** What it adds to the counters of models. */
  readonly usage?: Readonly<Record<string, number>>;
}

/** Steps that become durable together. */
export interface StepGroup {
  /** The same when it is written again: nothing is added twice. */
  readonly id: string;
  readonly steps: readonly Step[];
}

/** Everything of a context beside the steps that are under way. */
export interface Snapshot {
  state: TaskState;
  end: TaskEnd | undefined;
  /** The history that is left, and what was taken out of it since the last save. */
  kept: readonly Tracked[];
  removed: readonly Tracked[];
  files: Record<string, TrackedFile>;
  models: TrackedModel[];
  /** The fields of a counter. */
  usage: Record<string, number>;
  /** The greatest `n` that was given out. */
  n: number;
  durationMs: number;
}

/** Where a context is kept. */
export interface TaskStorage {
  /**
   * Makes steps durable, in order; a group that failed is given again before any later one.
   * @param snapshot everything as it is now, these steps included
   */
  append(group: StepGroup, snapshot: () => Snapshot): Promise<void>;
  /** Makes the rest durable. */
  save(snapshot: Snapshot): Promise<void>;
  /** The whole at once, steps that are under way included, where that is possible. */
  saveSync?(snapshot: Snapshot): void;
  /** Nothing more will come. */
  close?(): void;
}

/** What a context starts from when it was there before. */
export interface LoadedTask {
  state: TaskState;
  /** Oldest first. */
  history: readonly Tracked[];
  /** So many of them, from the oldest on, are told by `files` and `models`, as are those that were removed. */
  told: number;
  files: Readonly<Record<string, TrackedFile>>;
  models: readonly TrackedModel[];
  usage: Readonly<Record<string, number>>;
  n: number;
  /** How long it was worked on before. */
  durationMs: number;
  /** Of one that has ended, and is only to be read. */
  end?: TaskEnd | undefined;
}
