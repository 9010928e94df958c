/** What can be read from a store's URL without knowing any store. */

/** `redis://host` has the scheme `redis:`; undefined where there is none. */
export function schemeOf(url: string): string | undefined {
  return /^[a-z][a-z0-9+.-]*:/i.exec(url)?.[0].toLowerCase();
}

/**
 * The path that a `file:` URL names: `file:///absolute` as the standard has it, and `file:./relative` as people write
 * it. Undefined where it names no file.
 */
export function filePathOf(url: string): string | undefined {
  const rest = url.slice('file:'.length);
  const path = rest.startsWith('///') ? decoded(rest.slice(2)) : rest;
  return path === '' || path.startsWith('//') || path.includes('\0') ? undefined : path;
}

/** Percent signs that escape nothing leave no path. */
function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return '';
  }
}
