import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exportedNames } from './exported-names.ts';
import { entryFiles, exists, read, root } from './source.ts';

const entries = [...entryFiles()].filter(([, file]) => exists('src', file));

/** `class`, `function`, or what `typeof` says. */
function kindOf(value: unknown): string {
  if (typeof value !== 'function') return typeof value;
  return /^class\b/.test(Function.prototype.toString.call(value)) ? 'class' : 'function';
}

async function describeEntry(path: string, file: string): Promise<string> {
  const module: Record<string, unknown> = await import(join(root, 'src', file));
  const values = Object.entries(module).map(([name, value]) => `${name}: ${kindOf(value)}`);
  const types = exportedNames(file).filter(({ type }) => type);
  const lines = [...values, ...types.map(({ name }) => `${name}: type`)].sort();
  return [path.replace(/^\./, 'holdfast'), ...lines.map((line) => `  ${line}`), ''].join('\n');
}

test('the public names are those of the snapshot', async () => {
  const parts = await Promise.all(entries.map(([path, file]) => describeEntry(path, file)));
  await expect(parts.join('\n')).toMatchFileSnapshot('__snapshots__/api.txt');
});

test('every public name is exported by name', () => {
  expect(entries.filter(([, file]) => /^export\s+(type\s+)?\*/m.test(read('src', file)))).toEqual([]);
});
