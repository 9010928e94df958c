import type { Operation } from '../../core/store.ts';

/** How operations are numbered in calls and in stored receipts: part of the schema, never renumbered. */
export const CODES: Readonly<Record<Operation['op'], number>> = {
  check: 0,
  put: 1,
  add: 2,
  delete: 3,
  append: 4,
  rewrite: 5,
  truncate: 6,
  expire: 7,
  drop: 8,
  // From here on what the journal does not tell of.
  index: 9,
  unindex: 10,
  embed: 11,
};

/** What occurs in a wave of batches: a bit for each, so that the database runs only the statements that are needed. */
export const KINDS = {
  ids: 1,
  conditions: 2,
  writes: 4,
  appends: 8,
  ends: 16,
  entryIds: 32,
  mends: 64,
} as const;
