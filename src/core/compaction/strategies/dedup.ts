import { hash } from 'node:crypto';
import type { Offload } from '../../model/compaction.ts';
import type { Counted } from '../../window/groups.ts';
import { type Job, type Shorten, type Unit, withChanged } from '../draft.ts';
import { partText, placesOf, WHOLE } from '../marker.ts';

/** A shorter text costs no more than the marker that would say where it stands. */
const WORTH_A_MARKER = 200;

/**
 * Says a text once: of messages and tool results that are the same but for white space, the newest stays, and the others
 * become markers that point to it. Goes through all of them, whatever the target: nothing is lost by it.
 */
export const dedup: Shorten = async (draft, job) => {
  const newest = new Map<string, number>();
  const changed = new Map<Unit, Counted[]>();
  for (const unit of draft.units.toReversed()) {
    await job.pause();
    const items = unit.items.toReversed().map((item) => once(item, newest, job, unit.needed));
    if (items.some((item, i) => item !== unit.items[unit.items.length - 1 - i]))
      changed.set(unit, items.reverse());
  }
  return withChanged(draft, changed, 'dedup');
};

/** The message with markers for what a later one says; notes what it says itself. */
function once(item: Counted, newest: Map<string, number>, job: Job, needed: boolean): Counted {
  const { seq } = item.message;
  const offloads: Offload[] = [];
  for (const [place, text] of textsOf(item)) {
    const key = hash('sha256', text, 'base64');
    const other = newest.get(key);
    if (other === undefined) newest.set(key, seq);
    else if (other !== seq && !needed) offloads.push([place, other]);
  }
  if (offloads.length === 0) return item;
  const marked = job.offload(item, offloads);
  return marked.tokens < item.tokens ? marked : item;
}

/** The texts of a message that are long enough, by their places. */
function textsOf({ message, omitted = [] }: Counted): [place: number, text: string][] {
  const { content } = message;
  if (typeof content === 'string') return long([[WHOLE, content]]);
  const places = placesOf(content, omitted);
  return long(
    content.flatMap((part, i): [number, string][] =>
      part.type === 'tool-result' || part.type === 'text' ? [[places[i]!, partText(part)]] : [],
    ),
  );
}

function long(texts: [number, string][]): [number, string][] {
  return texts
    .map(([place, text]): [number, string] => [place, text.replaceAll(/\s+/g, ' ').trim()])
    .filter(([, text]) => text.length >= WORTH_A_MARKER);
}
