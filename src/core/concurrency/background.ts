import PQueue from 'p-queue';
import type { BackgroundKind } from './options.ts';
import { Tally } from './tally.ts';

/** Counting is short, and needs no slot. */
type SlottedKind = Exclude<BackgroundKind, 'counting'>;

/**
 * Where the engine's own work starts. Each kind has slots of its own, so work may wait for work of another kind, as
 * maintenance waits for the index, and a slow kind holds up no other one; none may wait for work of its own kind.
 */
export class BackgroundWork {
  readonly tally: Tally;
  readonly #queues: Readonly<Record<SlottedKind, PQueue>>;

  constructor(tally = new Tally(), maxCompactions = 4) {
    this.tally = tally;
    const slots = (concurrency: number) => new PQueue({ concurrency });
    this.#queues = {
      compaction: slots(maxCompactions),
      // Of these there is one at a time anyhow.
      embedding: slots(1),
      maintenance: slots(1),
      // While the index catches up, which may take long, what was deleted is taken out of it.
      indexing: slots(2),
      memory: slots(4),
    };
  }

  /**
   * Does work in a slot of its kind: at once where one is free, else when it is its turn. It is bounded by whoever
   * starts it (one a log, one an owner, …), and never refused.
   * @param signal where it is aborted before the work has begun, that does not begin
   * @throws what the work throws; the signal's reason
   */
  run<T>(kind: SlottedKind, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const piece = this.tally.arrived(kind);
    return this.#queues[kind].add(() => {
      if (signal?.aborted) {
        piece.ended('cancelled');
        throw signal.reason;
      }
      return this.#count(piece, work);
    });
  }

  /** Does work at once, and counts it only: what a caller waits for, and what is short. */
  track<T>(kind: BackgroundKind, work: () => Promise<T>): Promise<T> {
    return this.#count(this.tally.arrived(kind), work);
  }

  /** Counts a failure within work that goes on. */
  failing(kind: BackgroundKind, error: unknown): void {
    this.tally.failing(kind, error);
  }

  async #count<T>(piece: ReturnType<Tally['arrived']>, work: () => Promise<T>): Promise<T> {
    piece.started();
    try {
      const result = await work();
      piece.ended('completed');
      return result;
    } catch (error) {
      piece.ended('failed', { error });
      throw error;
    }
  }
}
