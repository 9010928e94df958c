import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../src/core/config.ts';
import { aliases } from '../../src/core/config-aliases.ts';
import type { ConfigError } from '../../src/core/errors.ts';
import { checkStoreUrl } from '../../src/open-store.ts';

type Env = Record<string, string>;
const urls = { store: checkStoreUrl };
const configOf = (env: Env) => resolveConfig({ env, urls }).config;
const storeOf = (env: Env) => configOf(env).store;
const noteOf = (env: Env, variable: string) =>
  resolveConfig({ env, urls }).aliases.filter((note) => note.variable === variable);

function problems(env: Env): string[] {
  try {
    resolveConfig({ env, urls });
    return [];
  } catch (error) {
    return (error as ConfigError).issues.map(({ path, message }) => `${path}: ${message}`);
  }
}

describe('variables of similar systems', () => {
  it.each<[Env, Partial<ReturnType<typeof configOf>>]>([
    [{ REDIS_URL: 'redis://cache:6380/2' }, { store: 'redis://cache:6380/2' }],
    [{ REDIS_HOST: 'cache' }, { store: 'redis://cache:6379' }],
    [
      { REDIS_HOST: 'cache', REDIS_PORT: '6380', REDIS_DB: '3', REDIS_PASSWORD: 'p@ss/w:rd' },
      { store: 'redis://:p%40ss%2Fw%3Ard@cache:6380/3' },
    ],
    [{ REDIS_HOST: '::1' }, { store: 'redis://[::1]:6379' }],
    [{ POSTGRES_URL: 'postgres://db/agents' }, { store: 'postgres://db/agents' }],
    [{ PYTHON_CONTEXT_MANAGER_CACHE_PATH: '/var/cache/' }, { store: 'file:/var/cache/holdfast.db' }],
    [{ PYTHON_CONTEXT_MANAGER_CACHE_PATH: 'cache' }, { store: 'file:./cache/holdfast.db' }],
    [{ PYTHON_CONTEXT_MANAGER_MAX_TOKENS: '2000' }, { maxTokens: 2000 }],
    [{ PYTHON_CONTEXT_MANAGER_COMPRESSION_RATIO: '0.8' }, { lowWater: 0.8 }],
    [{ PYTHON_CONTEXT_MANAGER_ENABLE_DEBUG: '1' }, { logLevel: 'debug' }],
    [{ PYTHON_CONTEXT_MANAGER_DEBUG: 'true' }, { logLevel: 'debug' }],
    [{ AIECS_LOG_LEVEL: 'WARNING' }, { logLevel: 'warn' }],
    [{ AIECS_LOG_LEVEL: 'CRITICAL', PYTHON_CONTEXT_MANAGER_DEBUG: '1' }, { logLevel: 'fatal' }],
    [{ AIECS_TASK_DIR: '/srv/tasks' }, { taskDir: '/srv/tasks' }],
    [{ AIECS_MAX_CONTEXT_SIZE: '5000' }, { taskMaxSize: 5000 }],
    [{ SESSION_EXPIRATION_SECONDS: '3600' }, { sessionTtlMs: 3_600_000 }],
    [{ SESSION_EXPIRATION_SECONDS: '3600', TIME_BASED_EXPIRATION: 'false' }, { sessionTtlMs: 0 }],
    [{ GARBAGE_COLLECTION: 'false' }, { maintenanceIntervalMs: 0 }],
  ])('are honoured where they mean the same: %j', (env, expected) => {
    expect(configOf(env)).toMatchObject(expected);
  });

  it('are weaker than options, HOLDFAST_ variables and the file, and stronger than the defaults', () => {
    const env = { REDIS_URL: 'redis://cache', AIECS_LOG_LEVEL: 'DEBUG' };
    expect(storeOf({ ...env, HOLDFAST_STORE: 'memory:' })).toBe('memory:');
    const file = { path: 'f.json', value: { store: 'file:./a.db' } };
    const { config, sources, aliases: notes } = resolveConfig({ env, file, urls });
    expect(config).toMatchObject({ store: 'file:./a.db', logLevel: 'debug' });
    expect(sources.logLevel).toEqual({ from: 'environment', name: 'AIECS_LOG_LEVEL' });
    expect(notes).toContainEqual({
      variable: 'REDIS_URL',
      used: false,
      warning: false,
      message: 'does not count: f.json says store',
    });
  });

  it('say which of them a value is made of', () => {
    const env = { REDIS_HOST: 'cache', REDIS_PORT: '1', REDIS_PASSWORD: 'hidden' };
    expect(resolveConfig({ env, urls }).sources.store).toEqual({
      from: 'environment',
      name: 'REDIS_HOST, REDIS_PORT, REDIS_PASSWORD',
    });
  });

  it('name Redis before Postgres before a folder, and tell what does not count', () => {
    const env = { POSTGRES_URL: 'postgres://db/agents', PYTHON_CONTEXT_MANAGER_CACHE_PATH: '/c' };
    const all = { ...env, REDIS_URL: 'redis://cache', REDIS_HOST: 'other' };
    expect(storeOf(all)).toBe('redis://cache');
    expect(storeOf(env)).toBe('postgres://db/agents');
    expect(storeOf({ ...all, USE_REDIS_CACHING: 'false' })).toBe('postgres://db/agents');
    expect(noteOf(all, 'POSTGRES_URL')).toEqual([
      {
        variable: 'POSTGRES_URL',
        used: false,
        warning: true,
        message: 'does not count for the store: REDIS_URL comes before it',
      },
    ]);
    expect(noteOf(all, 'REDIS_HOST')[0]?.message).toBe('does not count: REDIS_URL says it all');
  });

  it.each<[Env, string]>([
    [{ CONTEXT_PERMANENT_BACKEND: 'postgres', CONTEXT_PG_URL: 'postgres://db/a' }, 'CONTEXT_PG_URL'],
    [{ CONTEXT_PERMANENT_BACKEND: 'pg', POSTGRES_URL: 'postgres://db/a' }, 'POSTGRES_URL'],
    [{ CLICKHOUSE_ENABLED: 'true', CLICKHOUSE_HOST: 'ch', CLICKHOUSE_PASSWORD: 'x' }, 'CLICKHOUSE_HOST'],
  ])('that ask for an archive are warned of, since there is none: %j', (env, variable) => {
    expect(storeOf(env)).toBe('file:./holdfast.db');
    expect(noteOf(env, variable)).toEqual([expect.objectContaining({ warning: true, used: false })]);
    expect(noteOf(env, variable)[0]?.message).toMatch(/this version has none: nothing is archived$/);
  });

  it('of an archive that nobody switched on are no warning', () => {
    expect(noteOf({ CLICKHOUSE_HOST: 'ch' }, 'CLICKHOUSE_HOST')).toEqual([
      expect.objectContaining({ warning: false }),
    ]);
  });

  it('of a server beside are not taken for the store, as an orchestrator sets them', () => {
    expect(storeOf({ REDIS_PORT: 'tcp://10.0.0.11:6379' })).toBe('file:./holdfast.db');
  });

  it.each<[Env, string]>([
    [{ REDIS_URL: 'unix:/run/redis.sock' }, 'REDIS_URL: no store is known for unix:'],
    [{ REDIS_HOST: 'redis://h' }, 'REDIS_HOST: expected the name or address of a host'],
    [{ REDIS_HOST: 'other@h/0?', REDIS_PASSWORD: 'x' }, 'expected the name or address of a host'],
    [{ REDIS_HOST: 'h', REDIS_PORT: 'tcp://1.2.3.4:1' }, 'REDIS_PORT: expected a port from 1 to 65535'],
    [{ REDIS_HOST: 'h', REDIS_DB: 'first' }, 'REDIS_DB: expected the number of a database'],
  ])('stop the program where they name a store that is none: %j', (env, problem) => {
    expect(problems(env)).toEqual([expect.stringContaining(problem)]);
    expect(problems({ ...env, HOLDFAST_STORE: 'memory:' })).toEqual([]);
  });

  it.each<[Env, string]>([
    [{ AIECS_LOG_LEVEL: 'LOUD' }, 'AIECS_LOG_LEVEL'],
    [{ GARBAGE_COLLECTION: 'generational' }, 'GARBAGE_COLLECTION'],
    [{ SESSION_EXPIRATION_SECONDS: 'soon' }, 'SESSION_EXPIRATION_SECONDS'],
    [{ PYTHON_CONTEXT_MANAGER_COMPRESSION_RATIO: '0.95' }, 'PYTHON_CONTEXT_MANAGER_COMPRESSION_RATIO'],
    [{ USE_REDIS_CACHING: 'maybe' }, 'USE_REDIS_CACHING'],
  ])('that can not be read are told, and stop nothing: %j', (env, variable) => {
    expect(configOf(env)).toEqual(resolveConfig({}).config);
    expect(noteOf(env, variable)).toContainEqual(expect.objectContaining({ warning: true, used: false }));
  });

  it('that are empty count as absent', () => {
    const empty = Object.fromEntries(Object.keys(aliases).map((name) => [name, '']));
    expect(resolveConfig({ env: empty, urls })).toMatchObject({ aliases: [] });
  });

  it('say of each that is set what became of it, and show no password', () => {
    const every = Object.fromEntries(Object.keys(aliases).map((name) => [name, 'true']));
    const env = { ...every, REDIS_URL: 'redis://:hunter2@cache', POSTGRES_URL: 'postgres://u:hunter2@db' };
    const { aliases: notes } = resolveConfig({ env: { ...env, REDIS_PASSWORD: 'hunter2' }, urls });
    expect(new Set(notes.map(({ variable }) => variable))).toEqual(new Set(Object.keys(aliases)));
    expect(JSON.stringify(notes)).not.toContain('hunter2');
  });

  it.each(Object.entries(aliases))('are in the documentation: %s', (name, means) => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/configuration.md'), 'utf8');
    expect(page).toContain(`| \`${name}\` | ${means} |`);
  });
});
