import { ConfigError } from './errors.ts';
import { nearest } from './suggest.ts';

/** Where a store is, as its URL says. */
export type StoreAddress = { kind: 'memory' } | { kind: 'sqlite'; path: string };

const schemes = ['memory:', 'file:'] as const;

/**
 * Reads a store's URL: `memory:` or `file:PATH` (SQLite; relative paths are to the working directory).
 * @throws ConfigError. Of the URL only the scheme is told: others may hold a password
 */
export function parseStoreUrl(url: string): StoreAddress {
  if (url === 'memory:') return { kind: 'memory' };
  if (url.startsWith('file:')) return { kind: 'sqlite', path: pathOf(url) };
  const scheme = /^[a-z][a-z0-9+.-]*:/i.exec(url)?.[0];
  const near = scheme && nearest(scheme, schemes);
  const hint = near ? `Did you mean ${near}?` : 'Use file:./agent.db for a SQLite file, or memory: for none.';
  const what = scheme ? `no store is known for ${scheme}` : 'is not a URL';
  throw new ConfigError([{ path: 'store', message: `${what}; known are ${schemes.join(' and ')}` }], {
    hint,
  });
}

function pathOf(url: string): string {
  const rest = url.slice('file:'.length);
  // file:///absolute as the standard has it, and file:./relative as people write it.
  const path = rest.startsWith('///') ? decoded(rest.slice(2)) : rest;
  if (path === '' || path.startsWith('//') || path.includes('\0')) {
    throw new ConfigError([{ path: 'store', message: 'names no file' }], {
      hint: 'Write file:./agent.db or file:/data/agent.db.',
    });
  }
  return path;
}

/** Percent signs that escape nothing leave no path. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return '';
  }
}
