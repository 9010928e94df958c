export type { RejectedBatch } from './backlog.ts';
export type { FallbackOptions, FallbackState } from './options.ts';
export { FallbackStore, withFallback } from './store.ts';
