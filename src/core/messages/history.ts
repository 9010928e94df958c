import { ConflictError } from '../errors.ts';
import type { ParsedMessage } from '../model/message.ts';
import type { Partition, Store } from '../store.ts';
import { decodeMessage } from './codec.ts';
import { sameMessage } from './formats/same.ts';

const PAGE = 500;

/**
 * Where a history that is handed in whole goes beyond what is stored. Compared message by message, by what they say.
 * @returns how many of the messages are stored already, and the log's end they were compared with
 * @throws ConflictError when the two differ before either ends
 */
export async function newPart(
  store: Store,
  partition: Partition,
  log: string,
  messages: readonly ParsedMessage[],
): Promise<{ known: number; lastSeq: number }> {
  let known = 0;
  let after = 0;
  for (;;) {
    const { entries, lastSeq } = await store.readLog(partition, log, { after, limit: PAGE });
    for (const entry of entries) {
      const message = messages[known];
      if (!message) return { known, lastSeq };
      if (!sameMessage(decodeMessage(entry.value, entry.seq, ''), message)) throw differs(known, entry.seq);
      known++;
      after = entry.seq;
    }
    if (entries.length < PAGE) return { known, lastSeq };
  }
}

function differs(index: number, seq: number): ConflictError {
  return new ConflictError(
    `the history differs from what is stored at messages[${index}] (seq ${seq})`,
    undefined,
    {
      hint: 'Append only new messages, edit the stored one, or fork the session where the two part.',
      details: { index, seq },
    },
  );
}
