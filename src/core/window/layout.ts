import { hash } from 'node:crypto';
import type { ContextWindow, SectionName, WindowItem, WindowSection } from '../model/window.ts';
import type { Chosen, Selection } from './select.ts';

/** Providers take four breakpoints at most (Anthropic, "Prompt caching"). */
const MAX_BREAKPOINTS = 4;

/** What a window is made of, in its order. */
export interface Layout extends Pick<ContextWindow, 'sections' | 'prefixHash' | 'cacheBreakpoints'> {
  items: Chosen[];
}

/**
 * Puts what was chosen in order, from what changes least to what changes most: system prompt, pinned messages, the
 * summary, older turns, the turns since the last user message. Recalled messages stand just before that message, so that they don't
 * move what comes before them.
 */
export function layOut(
  { system, pinned, summary, turns }: Selection,
  recalled: readonly Chosen[] = [],
): Layout {
  const lastUser = turns.findLastIndex((item) => item.message.role === 'user');
  const start = lastUser < 0 ? turns.length : lastUser;
  const older = turns.slice(0, start);
  const recent = turns.slice(start);
  const parts: [SectionName, readonly Chosen[]][] = [
    ['system', system],
    ['pinned', pinned],
    ['summary', summary],
    ['older', older],
    ['recalled', recalled],
    ['recent', recent],
  ];
  const items = parts.flatMap(([, part]) => part);
  const stable = system.length + pinned.length;
  const settled = stable + summary.length;
  return {
    items,
    sections: parts.filter(([, part]) => part.length > 0).map(([name, part]) => sectionOf(name, part)),
    prefixHash: prefixHash([...system, ...pinned, ...summary], turns),
    cacheBreakpoints: breakpoints([stable, settled, settled + older.length, items.length]),
  };
}

function sectionOf(name: SectionName, items: readonly Chosen[]): WindowSection {
  return { name, tokens: items.reduce((sum, item) => sum + item.tokens, 0), items: items.map(toItem) };
}

function toItem({ message, tokens, reason, trimmed, offloaded, recalled }: Chosen): WindowItem {
  const item: WindowItem = { id: message.id, seq: message.seq, tokens, reason };
  if (trimmed) item.trimmed = trimmed;
  if (offloaded) item.offloaded = offloaded;
  if (recalled) item.recalled = recalled;
  return item;
}

/**
 * Hash of what stands before the turns, and of which turns are in: runs of seqs, the last one without its end, since
 * it only grows. Turns that were edited, trimmed or offloaded are told by version and parts.
 */
function prefixHash(before: readonly Chosen[], turns: readonly Chosen[]): string {
  let told = '';
  for (const { message } of before)
    told += JSON.stringify([message.role, message.name, message.content], bytesAsText);
  let last: number | undefined;
  for (const seq of seqsOf([...before, ...turns])) {
    if (last === undefined || seq !== last + 1) told += `-${last} ${seq}`;
    last = seq;
  }
  for (const { message, version, omitted, offloaded } of turns) {
    if (version > 1 || omitted || offloaded)
      told += `/${message.seq}.${version}.${omitted ?? ''}.${offloaded?.join(';') ?? ''}`;
  }
  return hash('sha256', told, 'hex').slice(0, 32);
}

function seqsOf(items: readonly Chosen[]): number[] {
  return items.map((item) => item.message.seq).sort((a, b) => a - b);
}

function bytesAsText(_: string, value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}

/** From the ends of stretches, the index of the last message of each; a stretch that is empty has none. */
function breakpoints(ends: readonly number[]): number[] {
  const indexes = new Set(ends.filter((end) => end > 0).map((end) => end - 1));
  return [...indexes].slice(-MAX_BREAKPOINTS);
}
