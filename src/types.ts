/** Types that programs name less often than those of the root: of results, options and records. */
export type { Channel } from './core/channels/channels.ts';
export type { ConcurrencyController, ConcurrencyStats, EndedJob } from './core/concurrency/controller.ts';
export type {
  ConcurrencyOptions,
  EngineConcurrencyOptions,
  JobContext,
  SubmitOptions,
} from './core/concurrency/options.ts';
export type { KindStats } from './core/concurrency/tally.ts';
export type { CopyProgress, CopyResult } from './core/copy/copy.ts';
export type { ReleaseError } from './core/errors.ts';
export type { MessageHit } from './core/messages/search.ts';
export type { WindowManifest } from './core/model/window.ts';
export type { Lease } from './core/sessions/lease.ts';
export type { TaskHealth, TaskPerformance } from './core/tasks/health.ts';
export type { TimelineItem } from './core/tasks/read-timeline.ts';
export type { TaskContextOptions } from './core/tasks/standalone.ts';
export type { TaskJson } from './core/tasks/task-json.ts';
export type { Task } from './core/tasks/tasks.ts';
export type { ContextUpdate, TimelineUpdate } from './core/tasks/update.ts';
export type { TaskUsage } from './core/tasks/usage.ts';
export type { TokenCounter } from './core/tokens/counter.ts';
