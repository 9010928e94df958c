import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** A Lua script: each file says in its header what it takes and gives. */
export interface Script {
  readonly text: string;
  readonly sha: string;
}

const NAMES = [
  'open',
  'commit',
  'append',
  'list-records',
  'read-log',
  'search-texts',
  'read-journal',
  'trim-journal',
] as const;
export type ScriptName = (typeof NAMES)[number];
export type Scripts = Readonly<Record<ScriptName, Script>>;

/** A cache: the files are the same for all stores of the process, and don't change while it runs. */
let loading: Promise<Scripts> | undefined;

/** The scripts, read once from the files beside this one. */
export function loadScripts(): Promise<Scripts> {
  loading ??= readAll();
  return loading;
}

async function readAll(): Promise<Scripts> {
  const entries = await Promise.all(
    NAMES.map(async (name): Promise<[ScriptName, Script]> => {
      const text = await readScript(name);
      return [name, { text, sha: createHash('sha1').update(text).digest('hex') }];
    }),
  );
  return Object.fromEntries(entries) as Record<ScriptName, Script>;
}

/** A script's text. A line `-- include NAME` stands for another file: the longest one is in parts. */
async function readScript(name: string): Promise<string> {
  const text = await readFile(new URL(`./scripts/${name}.lua`, import.meta.url), 'utf8');
  const lines = text.split('\n').map((line) => {
    const part = /^ *-- include ([\w-]+)$/.exec(line)?.[1];
    return part === undefined ? line : readScript(part);
  });
  return (await Promise.all(lines)).join('\n');
}
