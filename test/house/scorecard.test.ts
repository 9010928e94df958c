import { expect, test } from 'vitest';
import { exportedNames } from './exported-names.ts';
import { filesIn, read, storeFolders } from './source.ts';

const files = filesIn('src');
const port = read('src/core/store.ts');

test('the root exports at most 40 names, listed one by one', () => {
  expect(read('src/index.ts')).not.toMatch(/^export\s+(type\s+)?\*/m);
  expect(exportedNames('index.ts').length).toBeLessThanOrEqual(40);
});

test('the port has at most 12 methods', () => {
  const [, body = ''] = /(export interface Store \{[\s\S]*?\n\})/.exec(port) ?? [];
  const methods = interfaceMethods(body);
  expect(methods.length).toBeGreaterThan(0);
  expect(methods.length).toBeLessThanOrEqual(12);
});

/** The names of the methods of all interfaces in a source text. */
function interfaceMethods(text: string): string[] {
  const bodies = [...text.matchAll(/^export interface [^{]*\{([\s\S]*?)\n\}/gm)].map(([, body]) => body!);
  return bodies.flatMap((body) => [...body.matchAll(/^ {2}(\w+)\(/gm)].map(([, name]) => name!));
}

test('the port speaks no word of a database', () => {
  const words =
    /\b(sql\w*|redis|postgres\w*|tables?|rows?|columns?|hash(es)?|streams?|lua|slots?|shards?|wal|select)\b/gi;
  expect(port.match(words) ?? []).toEqual([]);
});

test('there is at most one any in 1,000 lines', () => {
  const texts = files.map((file) => read('src', file));
  const lines = texts.join('\n').split('\n').length;
  const anys = texts.join('\n').match(/(:\s*any\b|\bas any\b|<any\b|\bany\[\])/g) ?? [];
  expect(anys.length).toBeLessThanOrEqual(lines / 1000);
});

test('every error thrown is one of the family', () => {
  const bare = files.filter((file) => /throw new (Type|Range|Syntax)?Error\(/.test(read('src', file)));
  expect(bare).toEqual([]);
});

test('two stores share less than a tenth of their lines', () => {
  const stores = storeFolders();
  const pairs = stores.flatMap((one, i) => stores.slice(i + 1).map((other) => [one, other] as const));
  const tooAlike = pairs.filter(([one, other]) => sharedLines(one, other) >= 0.1);
  expect(tooAlike).toEqual([]);
});

/** The share of the smaller store's lines that also stand in the other. */
function sharedLines(one: string, other: string): number {
  const sizes = [linesOf(one), linesOf(other)].sort((a, b) => a.length - b.length);
  const [small, large] = sizes as [string[], string[]];
  const elsewhere = new Set(large);
  return small.filter((line) => elsewhere.has(line)).length / Math.max(1, small.length);
}

/**
 * Lines that say something of their own: no imports, no comments, no heads of methods that the port and the shared
 * interfaces ask for, and nothing so short (`try {`) that all code has it.
 */
function linesOf(store: string): string[] {
  const texts = filesIn(`src/stores/${store}`).map((file) => read('src/stores', store, file));
  const shared = filesIn('src/stores/shared').map((file) => read('src/stores/shared', file));
  const asked = [port, ...shared].flatMap(interfaceMethods);
  const code = texts
    .join('\n')
    .replace(/^(import|export)\b[^;]*?\bfrom\s*'[^']+';/gm, '')
    .replace(new RegExp(`^  (async )?(${asked.join('|')})\\([^{]*\\{$`, 'gm'), '');
  const lines = code.split('\n').map((line) => line.trim());
  return lines.filter((line) => line.length >= 20 && !/^(\/?\*|\/\/)/.test(line));
}
