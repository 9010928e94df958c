/** Types that programs name less often than those of the root: of results, options and records. */
export type { Channel } from './core/channels/channels.ts';
export type { CopyProgress, CopyResult } from './core/copy/copy.ts';
export type { MessageHit } from './core/messages/search.ts';
export type { WindowManifest } from './core/model/window.ts';
export type { Lease } from './core/sessions/lease.ts';
export type { TokenCounter } from './core/tokens/counter.ts';
