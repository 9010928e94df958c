import type { TaskContext } from './context.ts';
import { Distinct, hashOf } from './distinct.ts';

/** Whether something is wrong with a context. */
export interface TaskHealth {
  healthy: boolean;
  problems: string[];
  /** Numbers only. */
  facts: { updates: number; size: number; resources: number; unsaved: number; durationMs: number };
}

/** How a task is doing, and what would make it do better. */
export interface TaskPerformance {
  durationMs: number;
  updates: number;
  /** Characters of data in the history. */
  size: number;
  /** Updates that equal a newer one: `optimize` removes them. */
  duplicates: number;
  errors: number;
  files: number;
  modelCalls: number;
  /** Share of input tokens that came from a provider's cache, from 0 to 1. */
  cachedShare: number;
  suggestions: string[];
}

/** Beyond these a context is told to be in trouble, or could do better. */
const MANY_UNSAVED = 10_000;
const MANY_RESOURCES = 100;
const LARGE = 1_000_000;
const LITTLE_CACHED = 0.2;
const CALLS_ENOUGH = 5;
const TOKENS_ENOUGH = 10_000;

/** Looks whether a context can be relied on: whether it is saved, and what it holds. */
export function checkHealth(task: TaskContext): TaskHealth {
  const problems: string[] = [];
  const { changes, failure } = task.unsaved;
  const held = task.resources.length;
  if (failure !== undefined)
    problems.push(`${changes} changes could not be saved: call save() once the storage is back`);
  else if (changes > MANY_UNSAVED)
    problems.push(`${changes} changes wait to be saved: await addUpdate now and then, so that they keep up`);
  if (held > MANY_RESOURCES) problems.push(`${held} resources are held: release what is no longer needed`);
  if (task.closed && held > 0) problems.push(`${held} resources were not released`);
  return {
    healthy: problems.length === 0,
    problems,
    facts: {
      updates: task.history.length,
      size: task.size,
      resources: held,
      unsaved: changes,
      durationMs: task.durationMs,
    },
  };
}

/** Measures a context; takes time in proportion to its history. */
export function performance(task: TaskContext): TaskPerformance {
  const { history, size, durationMs, usage } = task;
  const distinct = new Distinct(history);
  const duplicates = history.filter((update, i) => !distinct.add(i, hashOf(update))).length;
  const errors = history.filter(({ updateType }) => updateType === 'error').length;
  const cachedShare = usage.inputTokens === 0 ? 0 : usage.cachedTokens / usage.inputTokens;
  const suggestions: string[] = [];
  if (duplicates > history.length / 4 && duplicates > 1)
    suggestions.push(`${duplicates} of ${history.length} updates repeat a newer one: call optimize().`);
  if (size > LARGE)
    suggestions.push(`The history has ${size} characters: open the task with autoOptimize and a maxSize.`);
  if (errors > history.length / 10 && errors > 1)
    suggestions.push(`${errors} of ${history.length} updates are errors: look at those of type error.`);
  const enough = usage.calls >= CALLS_ENOUGH && usage.inputTokens >= TOKENS_ENOUGH;
  if (enough && cachedShare < LITTLE_CACHED)
    suggestions.push(
      "Few input tokens come from the provider's cache: keep the beginning of prompts the same.",
    );
  return {
    durationMs,
    updates: history.length,
    size,
    duplicates,
    errors,
    files: Object.keys(task.fileTracker).length,
    modelCalls: usage.calls,
    cachedShare,
    suggestions,
  };
}
