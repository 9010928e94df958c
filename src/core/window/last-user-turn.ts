import { ignoreConflict } from '../errors.ts';
import { decodeJson, encodeJson } from '../json.ts';
import { decodeMessage } from '../messages/codec.ts';
import { kinds } from '../partitions.ts';
import { type Entry, type Operation, type Partition, PROVISIONAL, type Store } from '../store.ts';

const PAGE = 512;
/** A search of so many messages is worth a note. */
const WORTH_NOTING = 256;

/** There is no user's message behind `seq` up to `upTo`; 0: none at all. True for good, since roles don't change. */
interface Note {
  seq: number;
  upTo: number;
}

/**
 * The newest user message before a seq. An agent that works for long by itself leaves it far behind: what was found is
 * noted beside the log, so that the next search only looks at what came since.
 */
export async function lastUserTurn(
  store: Store,
  partition: Partition,
  log: string,
  before: number,
): Promise<Entry | undefined> {
  const id = log;
  // Places that will not last are not noted.
  const [session, stored] =
    before > PROVISIONAL
      ? []
      : await store.getRecords([
          { partition, kind: kinds.session, id: kinds.session },
          { partition, kind: kinds.lastUser, id },
        ]);
  const note = stored && decodeJson<Note>(stored.value);
  let searched = 0;
  let found: Entry | undefined;
  for (let end = before; end > 1 && !found; ) {
    const noted = note !== undefined && note.seq + 1 < end && end <= note.upTo + 1;
    if (noted) end = note.seq + 1;
    const limit = noted ? 1 : PAGE;
    const { entries } = await store.readLog(partition, log, { before: end, limit, reverse: true });
    found = entries.find((entry) => decodeMessage(entry.value, entry.seq, '').role === 'user');
    searched += entries.length;
    if (entries.length < limit) break;
    end = entries.at(-1)!.seq;
  }
  const upTo = before - 1;
  if (session && searched >= WORTH_NOTING && upTo > (note?.upTo ?? 0)) {
    const value = encodeJson({ seq: found?.seq ?? 0, upTo } satisfies Note, 'note');
    const operations: Operation[] = [
      { op: 'check', kind: kinds.session, id: kinds.session, ifVersion: session.version },
      { op: 'put', kind: kinds.lastUser, id, value },
    ];
    await store.commit({ partition, operations }).catch(ignoreConflict);
  }
  return found;
}
