import { expect, test } from 'vitest';
import { filesIn, type Import, importsOf, packageJson, packageOf, read, storeFolders } from './source.ts';

interface Rule {
  /** What of our own an area may import besides itself. */
  areas: readonly string[];
  /** The npm packages it may import; absent where any dependency will do. */
  packages?: readonly string[];
}

const drivers: Record<string, readonly string[]> = {
  sqlite: ['better-sqlite3', 'sqlite-vec'],
  redis: ['redis'],
  postgres: ['pg'],
  clickhouse: ['@clickhouse/client'],
};
const hosts: Record<string, readonly string[]> = {
  langgraph: ['@langchain/langgraph', '@langchain/langgraph-checkpoint', '@langchain/core'],
  langchain: ['@langchain/core'],
  'ai-sdk': ['ai', '@ai-sdk/provider'],
  'openai-agents': ['@openai/agents'],
  mcp: ['@modelcontextprotocol/sdk'],
};

const files = filesIn('src');

/** `core/ids.ts` is in area `core`, `stores/sqlite/open.ts` in `stores/sqlite`, `index.ts` in `index.ts`. */
function areaOf(file: string): string {
  const [first, second] = file.split('/');
  return ['stores', 'archives', 'integrations'].includes(first!) ? `${first}/${second}` : first!;
}

function ruleOf(area: string): Rule | undefined {
  const [group, name = ''] = area.split('/');
  switch (group) {
    case 'core':
      return {
        areas: [],
        packages: [
          'zod',
          'gpt-tokenizer',
          '@opentelemetry/api',
          'p-queue',
          // What a tool accepts: any library's schema, or JSON Schema.
          '@standard-schema/spec',
          'ajv',
          'rate-limiter-flexible',
          'prom-client',
          'fastest-levenshtein',
          // Stems and stop words: the same on every store, so that ranks are. Pure functions without dependencies.
          '@orama/stemmers',
          '@orama/stopwords',
        ],
      };
    case 'stores':
    case 'archives':
      return { areas: ['core', `${group}/shared`], packages: drivers[name] ?? [] };
    case 'integrations':
      // And what checks options, here as everywhere.
      return { areas: ['core'], packages: ['zod', ...(hosts[name] ?? [])] };
    case 'server':
      return {
        areas: ['core'],
        packages: ['hono', '@hono/node-server', '@hono/zod-openapi', 'zod', 'pino', 'prom-client'],
      };
    case 'testing':
      return { areas: ['core'], packages: ['vitest', 'fast-check'] };
    case 'index.ts':
    case 'types.ts':
      return { areas: ['core', 'open-store.ts'], packages: [] };
    case 'open-store.ts':
      return { areas: ['core', ...adapters()], packages: [] };
    case 'cli':
      return { areas: ['core', 'index.ts', 'open-store.ts', 'server', ...adapters()] };
    default:
      return undefined;
  }
}

function adapters(): string[] {
  return [...new Set(files.map(areaOf))].filter((area) => /^(stores|archives|integrations)\//.test(area));
}

function breaks(file: string, { target, own, kind }: Import): string | undefined {
  const area = areaOf(file);
  const rule = ruleOf(area);
  if (!rule) return `${file} is in no known part of the house`;
  if (!own) {
    const allowed = target.startsWith('node:') || !rule.packages || rule.packages.includes(packageOf(target));
    return allowed ? undefined : `${file} imports the package ${target}`;
  }
  const other = areaOf(target);
  if (other !== area && !rule.areas.includes(other)) return `${file} imports ${target}`;
  const concrete = /^(stores|archives)\//.test(other) && !other.endsWith('/shared') && other !== area;
  if (concrete && kind === 'value') return `${file} imports ${target} eagerly: use import()`;
  return undefined;
}

test('every part of the house imports only what it may', () => {
  const broken = files.flatMap((file) => importsOf(file).map((one) => breaks(file, one)));
  expect(broken.filter(Boolean)).toEqual([]);
});

test('every relative import names a file that exists, with its ending', () => {
  const missing = files.flatMap((file) =>
    importsOf(file).flatMap(({ own, target }) =>
      own && !files.includes(target) ? [`${file} → ${target}`] : [],
    ),
  );
  expect(missing).toEqual([]);
});

test('every package that the source imports is one that users get or are told to install', () => {
  const { dependencies, peerDependencies = {} } = packageJson();
  const known = new Set([...Object.keys(dependencies), ...Object.keys(peerDependencies)]);
  const unknown = files.flatMap((file) =>
    importsOf(file)
      .filter(({ own, target }) => !own && !target.startsWith('node:') && !known.has(packageOf(target)))
      .map(({ target }) => `${file}: ${target}`),
  );
  expect(unknown).toEqual([]);
});

test('no file imports itself through others', () => {
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' → '));
    if (done.has(file) || path.includes(file) || !files.includes(file)) return;
    for (const { own, target } of importsOf(file)) if (own) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  expect(cycles).toEqual([]);
});

test('no source file has more than 500 lines', () => {
  expect(files.filter((file) => read('src', file).trimEnd().split('\n').length > 500)).toEqual([]);
});

test('folders under src are at most three deep, and names are kebab-case', () => {
  expect(files.filter((file) => file.split('/').length - 1 > 3)).toEqual([]);
  expect(files.filter((file) => !/^([a-z0-9]+(-[a-z0-9]+)*[/.])+ts$/.test(file))).toEqual([]);
});

test.for(storeFolders())('the %s store is held to the conformance suite by a short test', (store) => {
  const short = filesIn('test', '**/*.test.ts').filter((file) => {
    const text = read('test', file);
    return (
      text.trimEnd().split('\n').length <= 15 &&
      /from '[./]*\/src\/testing\//.test(text) &&
      text.includes(`/src/stores/${store}/`)
    );
  });
  expect(short).not.toEqual([]);
});
