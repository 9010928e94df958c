import { setTimeout as delay } from 'node:timers/promises';
import { ConflictError, isConflict, isUnavailable } from './errors.ts';
import { decodeJson, encodeJson } from './json.ts';
import { KeyedQueue } from './keyed-queue.ts';
import type { IfVersion, IndexEntry, Operation, Partition, Patch, Receipt, Store } from './store.ts';

/** A record's value with its version. */
export interface Versioned<T> {
  value: T;
  version: number;
}

/** What a change makes of a record: the new value and its index entries, and other operations of the same commit. */
export interface Change<T> {
  value: T;
  indexes?: readonly IndexEntry[];
  also?: readonly Operation[];
}

export interface UpdateOptions {
  /** Where absent: the kind. */
  id?: string;
  /** The one version to change, 0 for none yet: a lost race is then `ConflictError` at once. */
  ifVersion?: number;
  /** The same change as a patch, for a store that takes writes while the record can't be read. */
  patch?: Patch;
}

const MAX_ATTEMPTS = 64;
/** A version that no record has: where the record can be judged after all, the write loses the race. */
const UNKNOWN = 0;

/** Typed records on top of a store, and the one read-modify-write loop that all services use. */
export class Records {
  readonly store: Store;
  readonly #queue = new KeyedQueue();

  constructor(store: Store) {
    this.store = store;
  }

  async get<T>(partition: Partition, kind: string, id: string = kind): Promise<Versioned<T> | undefined> {
    const [stored] = await this.store.getRecords([{ partition, kind, id }]);
    return stored && { value: decodeJson<T>(stored.value), version: stored.version };
  }

  /**
   * Reads a record, lets `change` make the new value, and writes it if nobody wrote in between; else tries again with
   * the newer value. Calls on one record in this process are queued, so they don't race each other. While the record
   * can't be read, `change` is given none, and the patch counts.
   */
  update<T>(
    partition: Partition,
    kind: string,
    change: (current: Versioned<T> | undefined) => Change<T>,
    options: UpdateOptions = {},
  ): Promise<Versioned<T> & { receipt: Receipt }> {
    const { id = kind, ifVersion } = options;
    const key = `${partition.tenant}\0${partition.type}\0${partition.id}\0${kind}\0${id}`;
    return this.#queue.run(key, async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#tryUpdate(partition, kind, change, { ...options, id });
        } catch (error) {
          if (ifVersion !== undefined || !isLostRace(error, kind) || attempt === MAX_ATTEMPTS) throw error;
          await delay(Math.random() * Math.min(50, 2 ** attempt));
        }
      }
    });
  }

  async #tryUpdate<T>(
    partition: Partition,
    kind: string,
    change: (current: Versioned<T> | undefined) => Change<T>,
    { id, ifVersion, patch: given }: UpdateOptions & { id: string },
  ): Promise<Versioned<T> & { receipt: Receipt }> {
    // Who names the version means the record as it is.
    const patch = ifVersion === undefined ? given : undefined;
    let unknown = false;
    const current = await this.get<T>(partition, kind, id).catch((error: unknown) => {
      if (!patch || !isUnavailable(error)) throw error;
      unknown = true;
      return undefined;
    });
    if (ifVersion !== undefined && (current?.version ?? 0) !== ifVersion) {
      throw new ConflictError(
        `${kind} is at version ${current?.version ?? 'none'}, expected ${ifVersion}`,
        current?.version,
      );
    }
    const { value, indexes, also = [] } = change(current);
    const expected: IfVersion = unknown ? UNKNOWN : (current?.version ?? 'absent');
    const put: Operation = {
      op: 'put',
      kind,
      id,
      value: encodeJson(value, kind),
      ifVersion: expected,
      ...(indexes && { indexes }),
      ...(patch && { patch }),
    };
    const receipt = await this.store.commit({ partition, operations: [put, ...also] });
    return { value, version: receipt.results[0]!.version!, receipt };
  }
}

/** A conflict on the record itself; one on another condition of the batch won't go away by trying again. */
function isLostRace(error: unknown, kind: string): boolean {
  return isConflict(error) && error.details?.kind === kind;
}
