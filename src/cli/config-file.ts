import { readFileSync } from 'node:fs';
import { ConfigError } from '../core/errors.ts';
import { parseJson } from './conversations/json-text.ts';

/** Taken from the working directory where there is one. */
const DEFAULT_FILE = 'holdfast.config.json';

export interface ConfigFile {
  path: string;
  value: unknown;
}

/**
 * Reads the config file: the one that is named, else `holdfast.config.json` of the working directory, if it is there.
 * @throws ConfigError when a file that is named is not there, or when it is not JSON
 */
export function readConfigFile(named: string | undefined): ConfigFile | undefined {
  const path = named ?? DEFAULT_FILE;
  const text = readText(path, named !== undefined);
  if (text === undefined) return undefined;
  const parsed = parseJson(text.replace(/^\uFEFF/, ''));
  if (!parsed.problem) return { path, value: parsed.value };
  const { reason, offset } = parsed.problem;
  const line = offset === undefined ? '' : `line ${text.slice(0, offset).split('\n').length}: `;
  throw new ConfigError([{ path, message: `${line}is not JSON: ${reason}` }]);
}

function readText(path: string, required: boolean): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && !required) return undefined;
    const message = code === 'ENOENT' ? 'there is no such file' : `can't be read (${code})`;
    throw new ConfigError([{ path, message }], { cause: error });
  }
}
