import { withMarkers } from '../compaction/marker.ts';
import { NotFoundError } from '../errors.ts';
import { decodeJson, encodeJson } from '../json.ts';
import type { Message } from '../model/message.ts';
import type {
  ContextWindow,
  ManifestItem,
  RecallReport,
  RecordedRecall,
  WindowManifest,
} from '../model/window.ts';
import { sessionExists, WINDOW_LOG } from '../partitions.ts';
import { missingSession, partitionOf, type ServiceContext } from '../services.ts';
import type { Entry } from '../store.ts';
import { type Counted, withoutParts } from './groups.ts';
import type { Chosen } from './select.ts';

/** A manifest lists every message of a window; a window of a million tokens has some ten thousand. */
const LIMITS = { maxBytes: 4 * 1024 * 1024, maxDepth: 8 };

/** What is asked of a window beyond what it holds, and recorded with it. */
export interface ManifestRequest {
  channel?: string | undefined;
  model?: string | undefined;
  query?: string | undefined;
}

/** A recorded window, shown again. */
export interface ReplayedWindow {
  manifest: WindowManifest;
  /** The messages as they are now. */
  messages: Message[];
  /** Seqs of messages that have been edited since, and of those that are gone. */
  changed: number[];
  gone: number[];
  /** Ids of the recalled memories that have been changed since, and of those that are gone. */
  changedMemories: string[];
  goneMemories: string[];
}

/** Recorded windows: a log of manifests beside the session's messages. */
export class Manifests {
  readonly #context: ServiceContext;

  constructor(context: ServiceContext) {
    this.#context = context;
  }

  /** Records a window; tells how much of it the provider has seen in the window recorded before. */
  async record(
    sessionId: string,
    window: ContextWindow,
    items: readonly Chosen[],
    request: ManifestRequest,
  ): Promise<WindowManifest> {
    const partition = partitionOf(this.#context, sessionId);
    const { messages: _, cacheBreakpoints: __, recall, ...told } = window;
    const messages = items.map(toManifestItem);
    const [before] = await this.list(sessionId, { limit: 1, channel: request.channel });
    const manifest: Omit<WindowManifest, 'id'> = {
      at: this.#context.clock.now(),
      ...given(request),
      ...told,
      ...(recall && { recall: recorded(recall) }),
      sharedPrefix: sharedPrefix(before?.messages ?? [], messages),
      messages,
    };
    const value = encodeJson(manifest, 'window manifest', LIMITS);
    try {
      const receipt = await this.#context.store.commit({
        partition,
        operations: [sessionExists, { op: 'append', log: WINDOW_LOG, entries: [{ value }] }],
      });
      return { id: String(receipt.results[1]!.seqs![0]), ...manifest };
    } catch (error) {
      throw missingSession(error, sessionId);
    }
  }

  /** Recorded windows, newest first. */
  async list(
    sessionId: string,
    range: { limit: number; before?: string | undefined; channel?: string | undefined },
  ): Promise<WindowManifest[]> {
    const partition = partitionOf(this.#context, sessionId);
    const found: WindowManifest[] = [];
    for (let before = range.before === undefined ? undefined : seqOf(range.before); ; ) {
      const page = await this.#context.store.readLog(partition, WINDOW_LOG, {
        limit: range.limit,
        reverse: true,
        ...(before !== undefined && { before }),
      });
      const manifests = page.entries.map(toManifest).filter((manifest) => manifest.channel === range.channel);
      found.push(...manifests.slice(0, range.limit - found.length));
      if (found.length === range.limit || page.entries.length < range.limit) return found;
      before = page.entries.at(-1)!.seq;
    }
  }

  /** @throws NotFoundError */
  async get(sessionId: string, id: string): Promise<WindowManifest> {
    const seq = seqOf(id);
    const range = { after: seq - 1, before: seq + 1, limit: 1 };
    const { entries } = await this.#context.store.readLog(
      partitionOf(this.#context, sessionId),
      WINDOW_LOG,
      range,
    );
    if (!entries[0]) throw new NotFoundError('recorded window', id);
    return toManifest(entries[0]);
  }
}

/** A manifest's id is its place in the log. @throws NotFoundError when it can be none */
function seqOf(id: string): number {
  if (/^[1-9]\d{0,14}$/.test(id)) return Number(id);
  throw new NotFoundError('recorded window', id);
}

function toManifest(entry: Entry): WindowManifest {
  return { id: String(entry.seq), ...decodeJson<Omit<WindowManifest, 'id'>>(entry.value) };
}

function given(request: ManifestRequest): Partial<WindowManifest> {
  return Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined));
}

/** Without the text of a message: who deletes that one wants it gone. */
function recorded({ query, ...recall }: RecallReport): RecordedRecall {
  return recall.querySeq === undefined ? { query, ...recall } : recall;
}

function toManifestItem({ message, version, tokens, omitted, offloaded }: Chosen): ManifestItem {
  if (offloaded) return [message.seq, version, tokens, omitted ?? null, offloaded];
  return omitted ? [message.seq, version, tokens, omitted] : [message.seq, version, tokens];
}

/** A message of a recorded window, as it was built: its text is the one of now. */
export function asBuilt([, version, tokens, omitted, offloaded]: ManifestItem, now: Counted): Message {
  if (now.version !== version || !(omitted || offloaded)) return now.message;
  const message = offloaded ? withMarkers(now.message, offloaded) : now.message;
  return { ...(omitted ? withoutParts(message, omitted) : message), tokens };
}

/** The same messages, with the same text, at the same places. */
function sharedPrefix(
  before: readonly ManifestItem[],
  now: readonly ManifestItem[],
): WindowManifest['sharedPrefix'] {
  let messages = 0;
  let tokens = 0;
  for (const item of now) {
    if (String(before[messages]) !== String(item)) break;
    messages++;
    tokens += item[2];
  }
  return { messages, tokens };
}
