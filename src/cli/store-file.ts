/** What can be said of a store's file before it is opened. */
import { existsSync, statSync } from 'node:fs';
import { ConfigError, NotFoundError } from '../core/errors.ts';
import { storeFileOf } from '../open-store.ts';

/**
 * @param url the store's
 * @throws ConfigError when no file can be there; NotFoundError when there is none, unless one may be made
 */
export function checkStoreFile(url: string, { create = false }: { create?: boolean } = {}): void {
  const path = storeFileOf(url);
  if (path === undefined) return;
  if (existsSync(path)) checkIsFile(path);
  else if (!create) {
    throw new NotFoundError('the store', path, {
      hint: 'Make it with `holdfast import FILE` or `holdfast serve`, or name another with --store.',
    });
  }
}

function checkIsFile(path: string): void {
  const stats = statSync(path);
  if (stats.isFile()) return;
  const message = stats.isDirectory()
    ? `${path} is a folder, expected a file`
    : `${path} is not a regular file`;
  throw new ConfigError([{ path: 'store', message }], {
    hint: 'Name a file, as in file:./agent.db; it is made where there is none.',
  });
}
