export { SqliteStore, type SqliteStoreOptions } from './store.ts';
