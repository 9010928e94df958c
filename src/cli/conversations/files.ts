/** Files read line by line or whole, as text; what is wrong with a file is an `ImportError`. */
import { createReadStream, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { ImportError, type ImportPlace } from '../../core/errors.ts';

export interface Line {
  text: string;
  /** From 1. */
  number: number;
  /** With its line end. */
  bytes: number;
  /** False for a last line without a line end: where the file was torn, if it was. */
  ended: boolean;
}

const CHUNK_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

/** The size of a regular file. */
export function fileBytes(file: string): number {
  try {
    const stats = statSync(file);
    if (stats.isFile()) return stats.size;
    const kind = stats.isDirectory() ? 'is a directory' : 'is not a regular file';
    throw problem({ file }, kind, 'Name the files to import one by one.');
  } catch (error) {
    throw asImportError(file, error);
  }
}

/** The lines of a file, with at most a chunk and a line in memory. A carriage return stays on its line. */
export async function* readLines(file: string, maxLineBytes: number): AsyncGenerator<Line> {
  let number = 1;
  let pieces: Buffer[] = [];
  let length = 0;
  const hold = (piece: Buffer) => {
    pieces.push(piece);
    length += piece.length;
    if (length > maxLineBytes) {
      throw problem(
        { file, line: number },
        `the line has more than the ${maxLineBytes} bytes that are allowed`,
      );
    }
  };
  const take = (ended: boolean): Line => {
    const bytes = Buffer.concat(pieces, length);
    const line = {
      text: decode(bytes, { file, line: number }),
      number,
      bytes: length + (ended ? 1 : 0),
      ended,
    };
    number++;
    pieces = [];
    length = 0;
    return line;
  };
  for await (const chunk of readChunks(file)) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      hold(chunk.subarray(start, end));
      start = end + 1;
      yield take(true);
    }
    hold(chunk.subarray(start));
  }
  if (length > 0) yield take(false);
}

/** The first character of a file that is no white space, or undefined when there is none. */
export async function firstCharacter(file: string): Promise<string | undefined> {
  for await (const chunk of readChunks(file)) {
    // Latin-1 never fails; a byte order mark of UTF-8 looks like this in it.
    const text = chunk
      .toString('latin1')
      .replace(/^\u00ef\u00bb\u00bf/, '')
      .trimStart();
    if (text !== '') return text[0];
  }
  return undefined;
}

export async function readText(file: string): Promise<string> {
  try {
    return decode(await readFile(file), { file });
  } catch (error) {
    throw asImportError(file, error);
  }
}

async function* readChunks(file: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(file, { highWaterMark: CHUNK_BYTES });
  } catch (error) {
    throw asImportError(file, error);
  }
}

function decode(bytes: Buffer, place: ImportPlace): string {
  try {
    // A byte order mark is left out.
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw problem(place, 'is not UTF-8 text', 'Convert the file to UTF-8.');
  }
}

function asImportError(file: string, error: unknown): ImportError {
  if (error instanceof ImportError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return problem({ file }, 'there is no such file');
  if (code === 'EACCES') return problem({ file }, 'no permission to read the file');
  return new ImportError({ file }, [{ path: '', message: `can't be read (${code ?? 'unknown reason'})` }], {
    cause: error,
  });
}

export function problem(place: ImportPlace, message: string, hint?: string): ImportError {
  return new ImportError(place, [{ path: '', message }], hint === undefined ? {} : { hint });
}
