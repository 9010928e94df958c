import { randomUUID } from 'node:crypto';
import { isConflict, isHoldfastError, StoreUnavailableError } from '../errors.ts';
import { encodeJson } from '../json.ts';
import type { CompactionResult, Refusal, Strategy } from '../model/compaction.ts';
import { compactionLog, messageLog } from '../partitions.ts';
import { partitionOf, type ServiceContext } from '../services.ts';
import type { Activity } from '../sessions/activity.ts';
import { PROVISIONAL } from '../store.ts';
import type { TokenCounter } from '../tokens/counter.ts';
import type { TokenLedger } from '../tokens/ledger.ts';
import { countMessage } from '../tokens/message-tokens.ts';
import { History } from '../window/history.ts';
import {
  type CompactedLog,
  type CompactionLog,
  isLostHead,
  type KeptCompaction,
  toCompaction,
} from './compaction-log.ts';
import { type Draft, type Job, tokensOf } from './draft.ts';
import { type CompactionHead, type CompactionLease, withCompaction } from './head.ts';
import { Heartbeat, LEASE_MS } from './heartbeat.ts';
import type { CompactionSettings } from './options.ts';
import { createPause } from './pause.ts';
import { rangesOf } from './ranges.ts';
import { readDraft, type Source } from './read-draft.ts';
import { shorten } from './strategies/all.ts';
import { createSummarize, type Summarizer } from './summarizer.ts';
import { renderSummary, summaryMessage } from './summary.ts';

const MAX_ATTEMPTS = 32;

export interface CompactionRequest extends CompactedLog {
  strategies: readonly Strategy[];
  counter: TokenCounter;
  /** What the window is to cost, by what it costs beyond its fixed parts, and those. All in the counter's tokens. */
  target(fixed: number, tokens: number): number;
  /** For one that is made by itself: what the messages of the window may cost that it is made for. */
  forTokens?: number;
  summarizer: Summarizer | undefined;
  signal: AbortSignal;
}

export interface CompactorServices {
  activity: Activity;
  ledger: TokenLedger;
  compactions: CompactionLog;
}

/**
 * Makes compactions: one at a time of a log, whoever asks. The store decides: the right to make one stands in the head
 * beside the log, and every later write of the head, an edit, an undo, another holder, is seen by the commit.
 */
export class Compactor {
  readonly #context: ServiceContext;
  readonly #services: CompactorServices;
  readonly #settings: CompactionSettings;

  constructor(context: ServiceContext, services: CompactorServices, settings: CompactionSettings) {
    this.#context = context;
    this.#services = services;
    this.#settings = settings;
  }

  async run(request: CompactionRequest): Promise<CompactionResult> {
    const { sessionId } = request;
    const sessionVersion = await this.#services.activity.check(sessionId);
    if (sessionVersion >= PROVISIONAL) throw notYetStored(sessionId);
    const holder = randomUUID();
    const { head, lease } = await this.#take(request, holder);
    if (lease.holder !== holder) return { refused: { reason: 'under-way', until: lease.until } };
    using heart = new Heartbeat(this.#services.compactions, request, holder, lease.until);
    const signal = AbortSignal.any([request.signal, heart.lost]);
    let committed = false;
    try {
      await this.#services.compactions.erase(request);
      const made = await this.#make({ ...request, signal }, head, sessionVersion);
      if ('reason' in made) return { refused: made };
      const compaction = await this.#commit(request, holder, made);
      committed = compaction !== undefined;
      if (!compaction) return { refused: { reason: 'changed-meanwhile' } };
      return { compaction: toCompaction(compaction.made, compaction.head) };
    } catch (error) {
      if (heart.lost.aborted && !request.signal.aborted) return { refused: { reason: 'changed-meanwhile' } };
      throw error;
    } finally {
      if (!committed) await this.#release(request, holder).catch(() => undefined);
    }
  }

  /** @returns the head with the lease in it, ours or that of somebody else who has it */
  async #take(
    request: CompactionRequest,
    holder: string,
  ): Promise<{ head: CompactionHead; lease: CompactionLease }> {
    const { compactions } = this.#services;
    for (let attempt = 1; ; attempt++) {
      const { head, version } = await compactions.headOrEmpty(request);
      const now = this.#context.clock.now();
      if (head.lease && head.lease.until > now) return { head, lease: head.lease };
      const lease = { holder, until: now + LEASE_MS };
      const leased = { ...head, lease };
      try {
        await compactions.write(request, leased, version);
        return { head: leased, lease };
      } catch (error) {
        if (!isLostHead(error) || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }

  async #make(
    request: CompactionRequest,
    head: CompactionHead,
    sessionVersion: number,
  ): Promise<Omit<KeptCompaction, 'id' | 'atSeq'> | Refusal> {
    const { channel, counter, forTokens } = request;
    const base = await this.#services.compactions.base(request, head, forTokens);
    const history = await History.open({
      store: this.#context.store,
      partition: partitionOf(this.#context, request.sessionId),
      log: messageLog(channel),
      ledger: this.#services.ledger,
      counter,
      sessionVersion,
      compaction: base,
    });
    const source = await readDraft(history, base);
    const tokensBefore = tokensOf(source.draft);
    const target = request.target(source.draft.fixed, tokensBefore);
    const draft = await shorten(source.draft, request.strategies, this.#job(request, history, target));
    const record = recordOf(draft, source, history, base);
    const tokensAfter = tokensOf(draft) + summaryError(draft, record, counter);
    if (draft.done.length === 0) return { reason: 'nothing-to-compact', tokensBefore };
    if (tokensAfter > tokensBefore * (1 - this.#settings.minSaving))
      return { reason: 'saves-too-little', tokensBefore, tokensAfter };
    const model = modelOf(request.summarizer, draft);
    return {
      createdAt: this.#context.clock.now(),
      ...(channel !== undefined && { channel }),
      ...record,
      tokensBefore,
      tokensAfter,
      counter: counter.name,
      ...(base && { base: base.id }),
      ...(forTokens !== undefined && { forTokens }),
      ...(model !== undefined && { model }),
    };
  }

  #job(request: CompactionRequest, history: History, target: number): Job {
    const { counter, summarizer, signal } = request;
    const { compressionRatio } = this.#settings;
    return {
      target,
      compressionRatio,
      counter,
      signal,
      pause: createPause(signal),
      offload: (item, offloads) => history.offload(item, offloads),
      ...(summarizer && { summarize: createSummarize(summarizer, this.#settings) }),
    };
  }

  /** @returns undefined when it must not be: what it covers has changed, or somebody else has taken over */
  async #commit(
    request: CompactionRequest,
    holder: string,
    made: Omit<KeptCompaction, 'id' | 'atSeq'>,
  ): Promise<{ made: KeptCompaction; head: CompactionHead } | undefined> {
    const { compactions } = this.#services;
    for (let attempt = 1; ; attempt++) {
      request.signal.throwIfAborted();
      const [found, lastId, atSeq] = await Promise.all([
        compactions.head(request),
        compactions.lastId(request),
        compactions.lastSeq(request),
      ]);
      const lease = found?.value.lease;
      if (!found || lease?.holder !== holder || (lease.touched ?? Number.POSITIVE_INFINITY) <= made.uptoSeq)
        return undefined;
      const { lease: _, ...free } = found.value;
      const one: KeptCompaction = { id: String(lastId + 1), ...made, atSeq };
      const head = withCompaction(free, one);
      const { id: __, ...stored } = one;
      const value = encodeJson(stored, 'compaction');
      const log = compactionLog(request.channel);
      try {
        await compactions.write(request, head, found.version, [
          { op: 'append', log, entries: [{ value }], ifLastSeq: lastId },
        ]);
        return { made: one, head };
      } catch (error) {
        if (!isConflict(error) || isSession(error) || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }

  async #release(at: CompactedLog, holder: string): Promise<void> {
    const { compactions } = this.#services;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const found = await compactions.head(at);
      if (found?.value.lease?.holder !== holder) return;
      const { lease: _, ...free } = found.value;
      try {
        return await compactions.write(at, free, found.version);
      } catch (error) {
        if (!isLostHead(error)) throw error;
      }
    }
  }
}

/** What a draft has come to, as a record. */
function recordOf(draft: Draft, source: Source, history: History, base: KeptCompaction | undefined) {
  const { summary, done, fallback, units } = draft;
  const uptoSeq = Math.max(base?.uptoSeq ?? 0, draft.touched);
  const items = units.flatMap((unit) => unit.items).filter(({ message }) => message.seq <= uptoSeq);
  const staying = source.staying.filter((seq) => seq <= uptoSeq);
  const kept = rangesOf([...items.map(({ message }) => message.seq), ...staying]);
  const newer = source.readSeqs.filter((seq) => seq > uptoSeq).length;
  return {
    strategy: [...new Set(done)].join('+'),
    fromSeq: base?.fromSeq ?? Math.min(...source.readSeqs),
    uptoSeq,
    ...(summary && { summary: summary.summary }),
    sources: rangesOf(summary?.sources ?? []),
    kept,
    offloaded: items.flatMap(({ message, offloaded = [] }) =>
      offloaded.map((offload): [number, ...typeof offload] => [message.seq, ...offload]),
    ),
    covered: history.length - newer,
    ...(fallback !== undefined && { fallback }),
  };
}

function modelOf(summarizer: Summarizer | undefined, { done }: Draft): string | undefined {
  return typeof summarizer === 'object' && done.includes('summarize') ? summarizer.modelId : undefined;
}

/** A summary says what it covers, which was not known when it was counted. */
function summaryError(
  { summary }: Draft,
  { fromSeq, uptoSeq }: Pick<KeptCompaction, 'fromSeq' | 'uptoSeq'>,
  counter: TokenCounter,
): number {
  if (!summary) return 0;
  const place = { id: '', createdAt: 0, fromSeq, uptoSeq };
  return countMessage(counter, summaryMessage(place, renderSummary(summary.summary))) - summary.tokens;
}

function isSession(error: unknown): boolean {
  return isHoldfastError(error) && error.details?.kind === 'session';
}

function notYetStored(id: string): StoreUnavailableError {
  return new StoreUnavailableError("a session can't be compacted before the store has it", {
    hint: 'It was made while the store was away. Try again when it is back.',
    details: { sessionId: id },
  });
}
