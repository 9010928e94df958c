import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CONDITION_MS } from '../support/patience.ts';
import { pages, prose, type Snippet, snippets } from './markdown.ts';
import { entryFiles, read, root } from './source.ts';

const folder = join(root, '.snippets');
/** What users import, and the file of `src` that it is. */
const entries = new Map([...entryFiles()].map(([path, file]) => [path.replace(/^\./, 'holdfast'), file]));

beforeAll(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('every code block of the documentation compiles', () => {
  const all = pages().flatMap(snippets);
  for (const snippet of all) writeFileSync(join(folder, fileName(snippet)), asModule(snippet));
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(snippetConfig));
  if (all.length === 0) return;
  const tsc = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', folder, '--pretty', 'false'], {
    cwd: root,
  });
  const complaints = tsc.stdout.toString().split('\n');
  expect(complaints.filter((line) => line.startsWith('.snippets/'))).toEqual([]);
});

test("the README's first example runs", () => {
  const first = snippets('README.md')[0]!;
  const elsewhere = mkdtempSync(join(tmpdir(), 'holdfast-readme-'));
  try {
    const file = join(elsewhere, 'example.mts');
    writeFileSync(
      file,
      first.code.replaceAll(/'(holdfast[^']*)'/g, (_, name) => `'${sourceUrl(name)}'`),
    );
    const run = spawnSync(process.execPath, [file], { cwd: elsewhere, timeout: CONDITION_MS });
    expect(run.stderr.toString()).toBe('');
    expect(run.status).toBe(0);
  } finally {
    rmSync(elsewhere, { recursive: true, force: true });
  }
});

test.for(pages())('the relative links of %s lead somewhere', (page) => {
  const links = [...prose(page).matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)].map(([, link]) => decodeURI(link!));
  expect(links.filter((link) => !existsSync(join(root, dirname(page), link)))).toEqual([]);
});

test.for(pages())('%s names no path of one machine and nothing outside the repository', (page) => {
  expect(read(page).match(/(?<![\w.~:/])\/(home|Users|root|work|mnt)\/[\w.-]+/g) ?? []).toEqual([]);
  const upward = read(page).match(/(?<![\w./])(\.\.\/)+[\w.-]+/g) ?? [];
  const outside = upward.filter((path) => relative(root, join(root, dirname(page), path)).startsWith('..'));
  expect(outside).toEqual([]);
});

const snippetConfig = {
  extends: '../tsconfig.json',
  compilerOptions: {
    noUnusedLocals: false,
    noUnusedParameters: false,
    paths: Object.fromEntries([...entries].map(([name, file]) => [name, [`../src/${file}`]])),
  },
  include: ['*.ts'],
};

/** The page's name is kept in the file's, so that a complaint of the compiler leads back to it. */
function fileName({ page, line }: Snippet): string {
  return `${page.replaceAll('/', '+').replace(/\.md$/, '')}.${line}.ts`;
}

/** Blank lines in front keep the page's line numbers. */
function asModule({ code, line }: Snippet): string {
  return `${'\n'.repeat(line)}${code}\nexport {};\n`;
}

function sourceUrl(name: string): string {
  return pathToFileURL(join(root, 'src', entries.get(name)!)).href;
}
