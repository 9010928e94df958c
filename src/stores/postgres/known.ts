import type { Partition } from '../../core/store.ts';
import { partitionKey } from '../shared/pages.ts';

/** Primary keys of a partition and its logs. They never become another's: what is gone is not found any more. */
export interface KnownPartition {
  readonly pk: number;
  readonly logs: Map<string, number>;
}

const MAX_PARTITIONS = 20_000;
const MAX_LOGS = 1000;

/** Primary keys that calls have told of, so that the next call can name logs by them. */
export class KnownLogs {
  readonly #partitions = new Map<string, KnownPartition>();

  find(partition: Partition): KnownPartition | undefined {
    return this.#partitions.get(partitionKey(partition));
  }

  learn(partition: Partition, pk: number, log: string, logPk: number): void {
    const key = partitionKey(partition);
    let known = this.#partitions.get(key);
    if (known?.pk !== pk) {
      if (this.#partitions.size >= MAX_PARTITIONS) this.#partitions.clear();
      known = { pk, logs: new Map() };
      this.#partitions.set(key, known);
    }
    if (known.logs.size >= MAX_LOGS) known.logs.clear();
    known.logs.set(log, logPk);
  }

  forget(partitions: readonly Partition[]): void {
    for (const partition of partitions) this.#partitions.delete(partitionKey(partition));
  }
}
