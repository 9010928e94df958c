export { type PostgresMigrateOptions, PostgresStore, type PostgresStoreOptions } from './store.ts';
