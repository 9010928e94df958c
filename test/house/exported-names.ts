import { read } from './source.ts';

const list = /^export\s+(type\s+)?\{([^}]*)\}/gm;
const declaration =
  /^export\s+(?:declare\s+|abstract\s+|async\s+)*(class|function\*?|const|let|interface|type)\s+(\w+)/gm;

/** The names a file of `src` exports, from its text. Types have no other witness at run time. */
export function exportedNames(file: string): { name: string; type: boolean }[] {
  const text = read('src', file);
  const names: { name: string; type: boolean }[] = [];
  for (const [, wholeType, inner] of text.matchAll(list)) {
    for (const item of inner!.replace(/\/\/.*|\/\*[\s\S]*?\*\//g, '').split(',')) {
      const [, type, name] = /^\s*(type\s+)?(?:\w+\s+as\s+)?(\w+)\s*$/.exec(item) ?? [];
      if (name) names.push({ name, type: Boolean(wholeType ?? type) });
    }
  }
  for (const [, keyword, name] of text.matchAll(declaration)) {
    names.push({ name: name!, type: keyword === 'interface' || keyword === 'type' });
  }
  return names;
}
