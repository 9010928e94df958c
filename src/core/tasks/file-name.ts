import { createHash } from 'node:crypto';

/** What ends the names of our files: others in the folder are never touched. */
export const ENDING = '.holdfast-task';
/** File systems take 255 bytes; what is written aside needs some of them. */
const MAX_LENGTH = 160;

/**
 * The name of the file that keeps a task. Any id gives a name of lower-case letters, digits, `-`, `_` and `=`, which
 * no folder can be left by, and different ids give different names, also where the file system doesn't tell upper from
 * lower case. The name of a very long id ends in its hash; the file itself says the id.
 */
export function fileNameOf(id: string): string {
  const name = Buffer.from(id)
    .toString('latin1')
    .replaceAll(/[^a-z0-9_-]/g, (byte) => `=${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
  if (name.length <= MAX_LENGTH) return `${name}${ENDING}`;
  const hash = createHash('sha256').update(id).digest('hex').slice(0, 40);
  return `${name.slice(0, MAX_LENGTH - hash.length)}==${hash}${ENDING}`;
}

/** The id that a file's name tells; undefined for a hashed one, and for a file that is not ours. */
export function idOfFileName(file: string): string | undefined {
  const name = file.endsWith(ENDING) ? file.slice(0, -ENDING.length) : '';
  if (name === '' || name.includes('==')) return undefined;
  const bytes = name.replaceAll(/=([0-9a-f]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  const id = Buffer.from(bytes, 'latin1').toString();
  return fileNameOf(id) === file ? id : undefined;
}
