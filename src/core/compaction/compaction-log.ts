import { isConflict, NotFoundError } from '../errors.ts';
import { decodeJson, encodeJson } from '../json.ts';
import type { Compaction } from '../model/compaction.ts';
import { compactionLog, kinds, messageLog, sessionExists } from '../partitions.ts';
import type { Versioned } from '../records.ts';
import { partitionOf, type ServiceContext } from '../services.ts';
import type { Entry, LogPage, Operation, Partition } from '../store.ts';
import {
  bestFor,
  type CompactionHead,
  emptyHead,
  mostCovering,
  serves,
  verdict,
  withCompaction,
} from './head.ts';
import { renderSummary, type Summary } from './summary.ts';

const PAGE = 100;
/** Compactions are looked through by short pages: the one that is wanted is nearly always the newest. */
const SHORT_PAGE = 4;
/** A newer one covers less only if it was made for larger windows, which is not as often. */
const LOOK_FURTHER = 16;

/** A compaction with its summary as it is kept. */
export type KeptCompaction = Omit<Compaction, 'summary'> & { kept: Compaction['kept']; summary?: Summary };

/** The log that is compacted. */
export interface CompactedLog {
  sessionId: string;
  channel?: string | undefined;
}

/** Compactions as they are stored: a log of them, and a record that says which of them count. */
export class CompactionLog {
  readonly context: ServiceContext;

  constructor(context: ServiceContext) {
    this.context = context;
  }

  head(at: CompactedLog): Promise<Versioned<CompactionHead> | undefined> {
    return this.context.records.get<CompactionHead>(this.#partition(at), kinds.compaction, headId(at));
  }

  /** The compaction that a window stands on. @param atSeq of a window of the past: one that was there by then */
  async find(at: CompactedLog, maxTokens: number, atSeq?: number): Promise<KeptCompaction | undefined> {
    const head = (await this.head(at))?.value;
    if (!head || head.covers === 0) return undefined;
    if (atSeq !== undefined) return this.#findAt(at, head, maxTokens, atSeq);
    const best = bestFor(head, maxTokens);
    return best && this.get(at, best.id);
  }

  /** What the next compaction goes on from. @param forTokens of one that is made by itself */
  async base(
    at: CompactedLog,
    head: CompactionHead,
    forTokens?: number,
  ): Promise<KeptCompaction | undefined> {
    const best = forTokens === undefined ? mostCovering(head) : bestFor(head, forTokens);
    return best && this.get(at, best.id);
  }

  /** One by its id, whether it counts or not. */
  async get(at: CompactedLog, id: string): Promise<KeptCompaction | undefined> {
    const seq = /^[1-9]\d{0,14}$/.test(id) ? Number(id) : undefined;
    if (seq === undefined) return undefined;
    const { entries } = await this.#read(at, { after: seq - 1, before: seq + 1, limit: 1 });
    return entries[0] && toKept(entries[0]);
  }

  /** Newest first, with what became of each. */
  async list(at: CompactedLog, range: { limit: number; before?: string | undefined }): Promise<Compaction[]> {
    const before = range.before === undefined ? undefined : await this.#placeOf(at, range.before);
    const [head, page] = await Promise.all([
      this.head(at),
      this.#read(at, { limit: range.limit, reverse: true, ...(before !== undefined && { before }) }),
    ]);
    return page.entries.map((entry) => toCompaction(toKept(entry), head?.value));
  }

  /** All of a log, newest first. */
  async *all(at: CompactedLog, pageLength = PAGE): AsyncGenerator<KeptCompaction> {
    for (let before: number | undefined; ; ) {
      const range = { limit: pageLength, reverse: true, ...(before !== undefined && { before }) };
      const { entries } = await this.#read(at, range);
      for (const entry of entries) yield toKept(entry);
      if (entries.length < pageLength) return;
      before = entries.at(-1)!.seq;
    }
  }

  /** The last id that was given out, 0 for none. */
  async lastId(at: CompactedLog): Promise<number> {
    return (await this.#read(at, { limit: 1, reverse: true })).lastSeq;
  }

  /** The head, or what it is where there is none: whatever was compacted before does not count. */
  async headOrEmpty(at: CompactedLog): Promise<{ head: CompactionHead; version: number | undefined }> {
    const found = await this.head(at);
    if (found) return { head: found.value, version: found.version };
    return {
      head: emptyHead(await this.lastId(at), this.context.clock.now()),
      version: undefined,
    };
  }

  /** Writes the head if it is still that version, with other operations of the same commit. @throws ConflictError */
  async write(
    at: CompactedLog,
    head: CompactionHead,
    version: number | undefined,
    also: readonly Operation[] = [],
  ): Promise<void> {
    const operations = [sessionExists, putHead(at, head, version), ...also];
    await this.context.store.commit({ partition: this.#partition(at), operations });
  }

  /** `current` worked out from all that count. */
  async recounted(at: CompactedLog, head: CompactionHead): Promise<CompactionHead> {
    let counted: CompactionHead = { ...head, current: [] };
    for await (const one of this.all(at)) if (!verdict(head, one)) counted = withCompaction(counted, one);
    return { ...counted, covers: head.covers };
  }

  /** Erases the texts of compactions that cover a message that was edited or taken away. */
  async erase(at: CompactedLog): Promise<void> {
    const found = await this.head(at);
    if (!found?.value.erase) return;
    const { changed } = found.value;
    const asChanged: CompactionHead = { ...found.value, undone: [], changed };
    for await (const one of this.all(at)) {
      if (one.summary === undefined || !verdict(asChanged, one)) continue;
      const { summary: _, id, ...rest } = one;
      const value = encodeJson(rest, 'compaction');
      const rewrite: Operation = { op: 'rewrite', log: compactionLog(at.channel), seq: Number(id), value };
      await this.context.store.commit({
        partition: this.#partition(at),
        operations: [sessionExists, rewrite],
      });
    }
    const { erase: _, ...done } = found.value;
    await this.write(at, done, found.version);
  }

  /** Where the log of messages ends. */
  async lastSeq(at: CompactedLog): Promise<number> {
    const { store } = this.context;
    return (await store.readLog(this.#partition(at), messageLog(at.channel), { limit: 1, reverse: true }))
      .lastSeq;
  }

  async #findAt(
    at: CompactedLog,
    head: CompactionHead,
    maxTokens: number,
    atSeq: number,
  ): Promise<KeptCompaction | undefined> {
    let best: KeptCompaction | undefined;
    let more = LOOK_FURTHER;
    for await (const one of this.all(at, SHORT_PAGE)) {
      if (best && more-- === 0) break;
      if (one.atSeq > atSeq || verdict(head, one) || !serves(one, maxTokens)) continue;
      if (!best || one.uptoSeq > best.uptoSeq) best = one;
    }
    return best;
  }

  async #placeOf(at: CompactedLog, id: string): Promise<number> {
    if (!(await this.get(at, id))) throw new NotFoundError('compaction', id);
    return Number(id);
  }

  #read(at: CompactedLog, range: Parameters<ServiceContext['store']['readLog']>[2]): Promise<LogPage> {
    return this.context.store.readLog(this.#partition(at), compactionLog(at.channel), range);
  }

  #partition({ sessionId }: CompactedLog): Partition {
    return partitionOf(this.context, sessionId);
  }
}

/** The id of a log's head: the log's name. */
export function headId({ channel }: Pick<CompactedLog, 'channel'>): string {
  return messageLog(channel);
}

export function putHead(
  at: Pick<CompactedLog, 'channel'>,
  head: CompactionHead,
  version: number | undefined,
): Operation {
  return {
    op: 'put',
    kind: kinds.compaction,
    id: headId(at),
    value: encodeJson(head, 'compaction head'),
    ifVersion: version ?? 'absent',
  };
}

/** A lost race for the head; another conflict won't go away by trying again. */
export function isLostHead(error: unknown): boolean {
  return isConflict(error) && error.details?.kind === kinds.compaction;
}

/** A compaction as callers are given it. */
export function toCompaction(
  { summary, ...rest }: KeptCompaction,
  head: CompactionHead | undefined,
): Compaction {
  const undone = verdict(head, rest);
  return {
    ...rest,
    ...(summary && { summary: renderSummary(summary) }),
    ...(undone && { undone }),
  };
}

function toKept(entry: Entry): KeptCompaction {
  return { ...decodeJson<KeptCompaction>(entry.value), id: String(entry.seq) };
}
