import { decodeJson } from '../json.ts';
import type { ServiceContext } from '../services.ts';
import type { Entry, Operation } from '../store.ts';
import { type CompactedLog, CompactionLog, type KeptCompaction, putHead } from './compaction-log.ts';
import { emptyHead, verdict, withCompaction } from './head.ts';

/**
 * What makes the compactions of a copy count: those that count in the session it is from, and cover only what the copy
 * has. @param lastId the last one that was copied
 */
export async function forkedHead(
  context: ServiceContext,
  at: CompactedLog,
  { lastId, upToSeq }: { lastId: number; upToSeq: number },
): Promise<Operation | undefined> {
  const log = new CompactionLog(context);
  const head = (await log.head(at))?.value;
  if (!head) return undefined;
  let last = 0;
  let forked = emptyHead(0, 0);
  for await (const one of log.all(at)) {
    const id = Number(one.id);
    if (id > lastId || one.uptoSeq > upToSeq) continue;
    last = Math.max(last, id);
    if (!verdict(head, one)) forked = withCompaction(forked, one);
  }
  // Ids beyond are given out anew, and what was said of them does not hold for those.
  const undone = head.undone.filter(([from]) => from <= last);
  const changed = head.changed.map(([upTo, ...rest]): (typeof head.changed)[number] => [
    Math.min(upTo, last),
    ...rest,
  ]);
  return putHead(
    at,
    {
      ...forked,
      undone: undone.map(([from, to, when]) => [from, Math.min(to, last), when]),
      changed,
      covers: head.covers,
      ...(head.erase && { erase: true }),
    },
    undefined,
  );
}

/** Whether a compaction covers only what is within a seq. */
export function within(upToSeq: number): (entry: Entry) => boolean {
  return ({ value }) => decodeJson<KeptCompaction>(value).uptoSeq <= upToSeq;
}
