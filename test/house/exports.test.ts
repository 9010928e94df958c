import { expect, test } from 'vitest';
import { exists, packageJson, read, sourceOf } from './source.ts';

const { exports, bin } = packageJson();
const subpaths = Object.entries(exports).flatMap(([path, target]) =>
  typeof target === 'object' ? [path] : [],
);

/** That `dist` holds what is built from it, `npm test` checks on the packed package. */
function expectSource(built: string): void {
  expect(built).toMatch(/^\.\/dist\//);
  expect(exists('src', sourceOf(built))).toBe(true);
}

test.for(subpaths)('the subpath %s is one source file, for types and code alike', (path) => {
  const { types, default: code, ...others } = exports[path] as Record<string, string>;
  expect(others).toEqual({});
  expect(sourceOf(types!)).toBe(sourceOf(code!));
  expectSource(code!);
});

test.for(Object.entries(bin))('the program %s has a source file', ([, target]) => {
  expectSource(target);
});

test.for(['package-lock.json', 'bench/package-lock.json'])('%s names no registry', (lockfile) => {
  expect(read(lockfile)).not.toMatch(/"resolved": "http/);
});
