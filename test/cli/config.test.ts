import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../src/core/config.ts';
import type { ConfigError } from '../../src/core/errors.ts';
import { redactUrl } from '../../src/core/redact-url.ts';
import { settings } from '../../src/core/settings.ts';

function problems(input: Parameters<typeof resolveConfig>[0]): string[] {
  try {
    resolveConfig(input);
    return [];
  } catch (error) {
    return (error as ConfigError).issues.map(({ path, message }) => `${path}: ${message}`);
  }
}

describe('resolveConfig', () => {
  it('has a default for every setting, each with its own environment variable', () => {
    const { config, sources } = resolveConfig({});
    expect(config).toMatchObject({ store: 'file:./holdfast.db', tenant: 'default', port: 7420 });
    expect(Object.keys(config)).toEqual(Object.keys(settings));
    expect(new Set(Object.values(sources).map(({ from }) => from))).toEqual(new Set(['default']));
    const variables = Object.values(settings).map(({ env }) => env);
    expect(new Set(variables).size).toBe(variables.length);
  });

  it('lets options beat the environment, the environment the file, and the file the defaults', () => {
    const file = { path: 'f.json', value: { port: 1, host: 'file', tenant: 'file' } };
    const env = { HOLDFAST_PORT: '2', HOLDFAST_HOST: 'environment', PATH: '/bin' };
    const { config, sources } = resolveConfig({ options: { port: '3', host: undefined }, env, file });
    expect(config).toMatchObject({ port: 3, host: 'environment', tenant: 'file', logLevel: 'info' });
    expect(sources).toMatchObject({
      port: { from: 'option', name: '--port' },
      host: { from: 'environment', name: 'HOLDFAST_HOST' },
      tenant: { from: 'file', name: 'f.json' },
      logLevel: { from: 'default' },
    });
  });

  it('takes an empty environment variable for an absent one', () => {
    expect(resolveConfig({ env: { HOLDFAST_PORT: '', HOLDFAST_STORE: '' } }).config.port).toBe(7420);
  });

  it('tells all problems of all layers, also of values that are overridden', () => {
    expect(
      problems({
        options: { lockTimeoutMs: 'soon' },
        env: { HOLDFAST_DURABILITY: 'ful', HOLDFAST_NONSENSE: '1', HOLDFAST_CONFIG: 'f.json' },
        file: { path: 'f.json', value: { lockTimeoutMs: 0, logLevl: 'info', __proto__: null } },
      }),
    ).toEqual([
      'f.json: logLevl: is unknown, did you mean logLevel?',
      expect.stringMatching(/^HOLDFAST_NONSENSE: is unknown; known are HOLDFAST_STORE, /),
      'f.json: lockTimeoutMs: must be at least 1',
      'HOLDFAST_DURABILITY: expected one of normal, full, replicated; did you mean full?',
      '--lock-timeout-ms: expected number, got text that is no number',
    ]);
  });

  it.each(['abc', ' ', '1,000', 'NaN', 'Infinity'])(
    'says of %j in the environment that it is no number',
    (text) => {
      expect(problems({ env: { HOLDFAST_PORT: text } })).toEqual([
        'HOLDFAST_PORT: expected number, got text that is no number',
      ]);
    },
  );

  it('reads true and false, and nothing else, where a setting is one of the two', () => {
    const { config } = resolveConfig({ env: { HOLDFAST_AUTO_COMPACT: 'false' } });
    expect(config.autoCompact).toBe(false);
    expect(problems({ env: { HOLDFAST_AUTO_COMPACT: 'maybe' } })).toEqual([
      'HOLDFAST_AUTO_COMPACT: expected boolean, got string',
    ]);
  });

  it('checks each strategy of a list', () => {
    const strategiesOf = (list: string) => problems({ env: { HOLDFAST_COMPACTION_STRATEGY: list } });
    expect(strategiesOf('dedup, truncate')).toEqual([]);
    expect(strategiesOf('dedup,extractiv,x')).toEqual([
      expect.stringMatching(/^HOLDFAST_COMPACTION_STRATEGY: expected one of .*; did you mean extractive\?$/),
      expect.stringMatching(/^HOLDFAST_COMPACTION_STRATEGY: expected one of /),
    ]);
    expect(strategiesOf(',')).toHaveLength(2);
  });

  it.each([
    [{ HOLDFAST_LOW_WATER: '0.95' }, 'HOLDFAST_LOW_WATER: must be below highWater, which is 0.9'],
    [{ HOLDFAST_HIGH_WATER: '0.3' }, 'HOLDFAST_HIGH_WATER: must be above lowWater, which is 0.5'],
  ])('wants the low-water mark below the high one: %j', (env, problem) => {
    expect(problems({ env })).toEqual([problem]);
  });

  it.each([
    [null, 'null'],
    [[], 'array'],
    ['text', 'string'],
  ])('wants an object in the file, not %j', (value, kind) => {
    expect(problems({ file: { path: 'f.json', value } })).toEqual([
      `f.json: expected an object, got ${kind}`,
    ]);
  });
});

describe('the documentation of the settings', () => {
  it.each(Object.entries(settings))('has %s with its variable, default and description', (name, setting) => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/configuration.md'), 'utf8');
    const { env, default: value, description } = setting;
    expect(page).toContain(`| \`${name}\` | \`${env}\` | \`${value}\` | ${description} |`);
  });
});

describe('redactUrl', () => {
  it.each([
    ['file:./a.db', 'file:./a.db'],
    ['memory:', 'memory:'],
    ['redis://host:6379/0', 'redis://host:6379/0'],
    ['redis://user:secret@host', 'redis://user:***@host'],
    ['redis://:secret@host', 'redis://:***@host'],
    ['https://secret@host/path', 'https://***@host/path'],
    [
      'postgres://user:sec@ret@host/db?sslmode=on&password=secret',
      'postgres://user:***@host/db?sslmode=on&password=***',
    ],
    ['redis-cluster://user:secret@a,b:1', 'redis-cluster://user:***@a,b:1'],
    ['redis:secret', 'redis:***'],
    ['secret', '***'],
  ])('writes %s as %s', (url, redacted) => {
    expect(redactUrl(url)).toBe(redacted);
  });
});
