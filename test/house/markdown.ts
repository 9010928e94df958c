/** The documentation as the tests see it. */
import { exists, filesIn, read } from './source.ts';

export interface Snippet {
  /** The page, relative to the checkout. */
  page: string;
  /** The line of the page on which the code starts, from 0. */
  line: number;
  code: string;
}

/** Every page that people read: those at the top, in `docs` and beside the examples. */
export function pages(): string[] {
  return ['*.md', 'docs/**/*.md', 'examples/**/*.md']
    .flatMap((pattern) => filesIn('.', pattern))
    .filter((page) => exists(page));
}

/** The page's `ts` blocks. One that must not be compiled says why in its first line: `// not compiled: reason`. */
export function snippets(page: string): Snippet[] {
  const text = read(page);
  const blocks = [...text.matchAll(/^```(?:ts|typescript)[^\S\n]*\n([\s\S]*?)^```/gm)];
  return blocks
    .map(({ index, 1: code }) => ({ page, code: code!, line: text.slice(0, index).split('\n').length }))
    .filter(({ code }) => !/^\/\/ not compiled: \S/.test(code));
}

/** The page without its code blocks. */
export function prose(page: string): string {
  return read(page).replace(/^```[\s\S]*?^```/gm, '');
}
