/** The source as the house tests see it: files, and what they import. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

export const root = join(import.meta.dirname, '../..');

export interface Import {
  /** A type-only import costs nothing at run time; a lazy one is an `import()`. */
  kind: 'value' | 'type' | 'lazy';
  /** The file inside `src` (`core/store.ts`), or the package or built-in as it is named. */
  target: string;
  /** Whether `target` is a file of ours. */
  own: boolean;
}

/** Files below a folder of the checkout that match a pattern, as sorted paths relative to that folder. */
export function filesIn(folder: string, pattern = '**/*.ts'): string[] {
  return globSync(pattern, { cwd: join(root, folder), exclude: ['**/node_modules/**'] }).sort();
}

export function read(...path: string[]): string {
  return readFileSync(join(root, ...path), 'utf8');
}

export function exists(...path: string[]): boolean {
  return existsSync(join(root, ...path));
}

/** Everything that a file of `src` imports or re-exports. */
export function importsOf(file: string): Import[] {
  const text = read('src', file).replace(/^\s*(\*|\/\/|\/\*).*$/gm, '');
  const found: Import[] = [];
  const add = (kind: Import['kind'], specifier: string) => {
    const own = specifier.startsWith('.');
    const target = own ? relative(join(root, 'src'), join(root, 'src', dirname(file), specifier)) : specifier;
    found.push({ kind, target, own });
  };
  for (const [, type, specifier] of text.matchAll(
    /^(?:import|export)\b(\s+type\b)?[^'";]*?\bfrom\s*'([^']+)'/gm,
  )) {
    add(type ? 'type' : 'value', specifier!);
  }
  for (const [, specifier] of text.matchAll(/^import\s*'([^']+)'/gm)) add('value', specifier!);
  for (const [, type, specifier] of text.matchAll(/(\btypeof\s+)?\bimport\(\s*'([^']+)'/g)) {
    add(type ? 'type' : 'lazy', specifier!);
  }
  return found;
}

/** The package of a specifier: `@scope/name/sub` is `@scope/name`. */
export function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
}

/** `package.json`, as far as the tests read it. */
export function packageJson(): {
  exports: Record<string, string | Record<string, string>>;
  bin: Record<string, string>;
  dependencies: Record<string, string>;
  peerDependencies?: Record<string, string>;
} {
  return JSON.parse(read('package.json'));
}

/** The source file behind each subpath of the export map: `./server` is `server/index.ts`. */
export function entryFiles(): Map<string, string> {
  const entries = Object.entries(packageJson().exports).filter(([, target]) => typeof target === 'object');
  return new Map(entries.map(([path, target]) => [path, sourceOf((target as { default: string }).default)]));
}

/** The file of `src` from which a file of `dist` is built. */
export function sourceOf(built: string): string {
  return built.replace(/^\.\/dist\//, '').replace(/(\.d\.ts|\.js)$/, '.ts');
}

/** The concrete stores: every folder of `src/stores` but the shared one. */
export function storeFolders(): string[] {
  const folders = filesIn('src/stores', '*/index.ts').map((file) => dirname(file));
  return folders.filter((folder) => folder !== 'shared');
}
