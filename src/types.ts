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
export type { CheckOutcome, HealthCheck, HealthStatus } from './core/health/check.ts';
export type { HealthDiagnosis, HealthReport } from './core/health/health.ts';
export type { HealthOptions } from './core/health/options.ts';
export type { RecoveryAction, RecoveryResult } from './core/health/recovery.ts';
export type { Logger } from './core/logger.ts';
export type { MessageHit } from './core/messages/search.ts';
export type { WindowManifest } from './core/model/window.ts';
export type { MonitorOptions } from './core/monitor/options.ts';
export type { MonitorSample, MonitorSnapshot } from './core/monitor/snapshot.ts';
export type { Lease } from './core/sessions/lease.ts';
export type { TaskHealth, TaskPerformance } from './core/tasks/health.ts';
export type { TimelineItem } from './core/tasks/read-timeline.ts';
export type { TaskContextOptions } from './core/tasks/standalone.ts';
export type { TaskJson } from './core/tasks/task-json.ts';
export type { Task } from './core/tasks/tasks.ts';
export type { ContextUpdate, TimelineUpdate } from './core/tasks/update.ts';
export type { TaskUsage } from './core/tasks/usage.ts';
export type { TokenCounter } from './core/tokens/counter.ts';
export type { Chain, ChainResult } from './core/tools/chain.ts';
export type { ToolOptions } from './core/tools/options.ts';
export type { PermissionRequest, ToolPolicy } from './core/tools/permission.ts';
export type { ToolStats } from './core/tools/stats.ts';
export type { ToolCall, ToolDefinition, ToolFailure } from './core/tools/tool.ts';
export type { ToolCallOptions, ToolService } from './core/tools/tools.ts';
