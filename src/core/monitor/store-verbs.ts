import type { Store } from '../store.ts';

/** The calls of the port that are watched. Waiting for changes is not work, and closing comes once. */
export const STORE_VERBS = [
  'commit',
  'getRecords',
  'listRecords',
  'listLogs',
  'readLog',
  'queryIndex',
  'readChanges',
  'trimChanges',
  'searchText',
] as const satisfies readonly (keyof Store)[];

export type StoreVerb = (typeof STORE_VERBS)[number];
