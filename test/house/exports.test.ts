import { expect, test } from 'vitest';
import { exists, packageJson, read, sourceOf } from './source.ts';

const { exports, bin } = packageJson();
const subpaths = Object.entries(exports).flatMap(([path, target]) =>
  typeof target === 'object' ? [path] : [],
);

/** That `dist` holds what is built from it, `npm test` checks on the packed package. */
function expectSource(built: string, skip: (reason: string) => void): void {
  expect(built).toMatch(/^\.\/dist\//);
  if (!exists('src', sourceOf(built))) skip(`src/${sourceOf(built)} is not built yet`);
}

test.for(subpaths)('the subpath %s is one source file, for types and code alike', (path, context) => {
  const { types, default: code, ...others } = exports[path] as Record<string, string>;
  expect(others).toEqual({});
  expect(sourceOf(types!)).toBe(sourceOf(code!));
  expectSource(code!, context.skip);
});

test.for(Object.entries(bin))('the program %s has a source file', ([, target], context) => {
  expectSource(target, context.skip);
});

test.for(['package-lock.json', 'bench/package-lock.json'])('%s names no registry', (lockfile) => {
  expect(read(lockfile)).not.toMatch(/"resolved": "http/);
});
