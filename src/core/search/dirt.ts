/** What was changed since it was last indexed, as the journal tells it. */
import { channelOfLog, kinds } from '../partitions.ts';
import type { Change, ChangeOperation, Partition } from '../store.ts';
import { stretchOf } from './stretch.ts';

/** What of a log has to be indexed anew. */
export interface LogDirt {
  /** Something was appended. */
  appended: boolean;
  /** Up to which seq. */
  upTo: number;
  /** Stretches with an entry that was rewritten. */
  readonly stretches: Set<number>;
  /** Where it ended after a truncation, the least of several. */
  endedAt?: number;
}

export interface Dirt {
  readonly partition: Partition;
  readonly logs: Map<string, LogDirt>;
  readonly memories: Set<string>;
  /** Whose session it is, once that was looked up: it never changes. */
  userId?: string;
}

/** Partitions that have something to index. What is being indexed still counts, until it is done. */
export class DirtyPartitions {
  readonly #dirty = new Map<string, Dirt>();
  readonly #underWay = new Map<string, Dirt>();

  get size(): number {
    return this.#dirty.size + this.#underWay.size;
  }

  has(partition: Partition): boolean {
    const key = keyOf(partition);
    return this.#dirty.has(key) || this.#underWay.has(key);
  }

  *[Symbol.iterator](): Generator<Dirt> {
    for (const [key, dirt] of this.#dirty) if (!this.#underWay.has(key)) yield dirt;
    yield* this.#underWay.values();
  }

  note({ partition, operations }: Change): void {
    for (const operation of operations) {
      if (partition.type === 'session') this.#noteLog(partition, operation);
      else if (partition.type === 'user') this.#noteMemory(partition, operation);
    }
  }

  /** What is to be done now; {@link done} or {@link failed} follows. */
  begin(partition: Partition): Dirt | undefined {
    const key = keyOf(partition);
    const dirt = this.#dirty.get(key);
    if (!dirt) return undefined;
    this.#dirty.delete(key);
    this.#underWay.set(key, dirt);
    return dirt;
  }

  done(partition: Partition): void {
    this.#underWay.delete(keyOf(partition));
  }

  failed(partition: Partition): void {
    const dirt = this.#underWay.get(keyOf(partition));
    if (!dirt) return;
    this.#underWay.delete(keyOf(partition));
    const since = this.#of(partition);
    for (const [log, { appended, upTo, stretches, endedAt }] of dirt.logs) {
      const now = logOf(since, log);
      now.appended ||= appended;
      now.upTo = Math.max(now.upTo, upTo);
      for (const stretch of stretches) now.stretches.add(stretch);
      if (endedAt !== undefined) now.endedAt = Math.min(endedAt, now.endedAt ?? endedAt);
    }
    for (const id of dirt.memories) since.memories.add(id);
  }

  clear(): void {
    this.#dirty.clear();
  }

  #noteLog(partition: Partition, operation: ChangeOperation): void {
    if (operation.op === 'drop') this.#dirty.delete(keyOf(partition));
    if (!('log' in operation) || channelOfLog(operation.log) === undefined) return;
    const log = logOf(this.#of(partition), operation.log);
    if (operation.op === 'append') {
      log.appended = true;
      log.upTo = Math.max(log.upTo, operation.firstSeq + operation.count - 1);
    } else if (operation.op === 'rewrite') log.stretches.add(stretchOf(operation.seq));
    else log.endedAt = Math.min(operation.lastSeq, log.endedAt ?? operation.lastSeq);
  }

  #noteMemory(partition: Partition, operation: ChangeOperation): void {
    if (operation.op === 'drop') this.#dirty.delete(keyOf(partition));
    if ((operation.op === 'put' || operation.op === 'delete') && operation.kind === kinds.memory)
      this.#of(partition).memories.add(operation.id);
  }

  #of(partition: Partition): Dirt {
    const key = keyOf(partition);
    const dirt = this.#dirty.get(key) ?? { partition, logs: new Map(), memories: new Set() };
    this.#dirty.set(key, dirt);
    return dirt;
  }
}

function logOf(dirt: Dirt, log: string): LogDirt {
  const found = dirt.logs.get(log) ?? { appended: false, upTo: 0, stretches: new Set() };
  dirt.logs.set(log, found);
  return found;
}

export function keyOf({ tenant, type, id }: Partition): string {
  return `${tenant}\0${type}\0${id}`;
}
