import { ConflictError, isConflict } from '../../core/errors.ts';
import { decodeJson, encodeJson, type JsonObject } from '../../core/json.ts';
import { KeyedQueue } from '../../core/keyed-queue.ts';
import { applyPatch } from '../../core/state/merge.ts';
import type {
  Batch,
  Cursor,
  Operation,
  OperationResult,
  Partition,
  Patch,
  Receipt,
  Store,
} from '../../core/store.ts';
import { checkBatch } from '../shared/check-batch.ts';
import { partitionKey } from '../shared/pages.ts';
import { BORN, encodeBatch, SPOOL_LOG, toView } from './entries.ts';
import { needsLook, needsStore, obstacle, provisional } from './truth.ts';

type Put = Operation & { op: 'put' };

/** The journal has no place for a commit yet that is still to be replayed. */
const NO_CURSOR: Cursor = '';
const MAX_ATTEMPTS = 64;

/**
 * Takes batches while the store is away. One commit in the spool writes what can be read meanwhile, in the same
 * partition, and puts the batch itself into that partition's log, to be replayed.
 */
export class Spool {
  readonly #store: Store;
  /** Partitions in which a batch that looks first is on its way: later ones queue up behind it. */
  readonly #looking = new KeyedQueue();
  /** How many batches were taken since the start, and how many are being taken. */
  taken = 0;
  underWay = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Spools a batch.
   * @param callersId whether its id is the caller's own, who may hand it in again
   * @throws StoreUnavailableError when the batch needs to know what is stored, ConflictError where the spool can judge
   */
  commit(batch: Batch, callersId: boolean): Promise<Receipt> {
    this.underWay++;
    const receipt = this.#inOrder(batch, callersId);
    const done = () => {
      this.underWay--;
      this.taken++;
    };
    receipt.then(done, done);
    return receipt;
  }

  #inOrder(batch: Batch, callersId: boolean): Promise<Receipt> {
    try {
      checkBatch(batch);
    } catch (error) {
      return Promise.reject(error);
    }
    const key = partitionKey(batch.partition);
    const quick = !needsLook(batch) && obstacle(batch, false) === undefined;
    if (!quick) return this.#looking.run(key, () => this.#look(batch, callersId));
    const write = () => this.#write(batch, { callersId });
    return this.#looking.has(key) ? this.#looking.run(key, write) : write();
  }

  /** Spools a batch with patches or conditions, on what the spool knows. */
  async #look(batch: Batch, callersId: boolean): Promise<Receipt> {
    const blind = obstacle(batch, false);
    const judged = batch.fresh === true || (blind !== undefined && (await this.#isBorn(batch.partition)));
    const reason = obstacle(batch, judged);
    if (reason) throw needsStore(reason);
    for (let attempt = 1; ; attempt++) {
      const patched = await this.#patch(batch);
      try {
        return await this.#write(batch, { callersId, judged, patched });
      } catch (error) {
        if (!isConflict(error)) throw error;
        const { kind, id } = error.details ?? {};
        const raced = [...patched.values()].some((put) => put.kind === kind && put.id === id);
        if (!raced || attempt === MAX_ATTEMPTS) throw asProvisional(error);
      }
    }
  }

  async #isBorn(partition: Partition): Promise<boolean> {
    const [born] = await this.#store.getRecords([{ partition, ...BORN }]);
    return born !== undefined;
  }

  /** What patches make of the records that the spool has, by the place of their operation. */
  async #patch({ partition, operations }: Batch): Promise<Map<number, Put>> {
    const puts = [...operations.entries()].flatMap(([i, one]) => (isPatch(one) ? [{ i, put: one }] : []));
    if (puts.length === 0) return new Map();
    const records = await this.#store.getRecords(
      puts.map(({ put: { kind, id } }) => ({ partition, kind, id })),
    );
    return new Map(
      puts.map(({ i, put }, at) => {
        const value = patched(records[at]?.value, put.patch);
        return [i, { ...put, value, ifVersion: records[at]?.version ?? 'absent' }];
      }),
    );
  }

  async #write(
    batch: Batch,
    {
      callersId,
      judged = false,
      patched = NONE,
    }: { callersId: boolean; judged?: boolean; patched?: ReadonlyMap<number, Put> },
  ): Promise<Receipt> {
    const { partition, id } = batch;
    const operations: Operation[] = [];
    const places = batch.operations.map((operation, i) => {
      const view = patched.get(i) ?? toView(operation, judged);
      return view ? operations.push(view) - 1 : -1;
    });
    if (batch.fresh) operations.push({ op: 'put', ...BORN, value: 'true' });
    operations.push(
      { op: 'append', log: SPOOL_LOG, entries: [{ value: encodeBatch(batch, judged) }] },
      // A partition that expires in the spool is one that is through: this one is not.
      { op: 'expire', at: null },
    );
    const receipt = await this.#store.commit({
      partition,
      operations,
      ...(callersId && id !== undefined && { id }),
    });
    const results = places.map((place) => (place < 0 ? {} : asSeen(receipt.results[place]!)));
    return { cursor: NO_CURSOR, replayed: receipt.replayed, results };
  }
}

const NONE: ReadonlyMap<number, Put> = new Map();

export function isPatch(operation: Operation): operation is Put & { patch: Patch } {
  return operation.op === 'put' && operation.patch !== undefined;
}

/** A record's value after a patch; a record that is not there is an empty object. */
export function patched(value: string | undefined, patch: Patch): string {
  return encodeJson(applyPatch(value === undefined ? {} : decodeJson<JsonObject>(value), patch), 'value');
}

function asSeen({ version, seqs, ...result }: OperationResult): OperationResult {
  return {
    ...result,
    ...(version !== undefined && { version: provisional(version) }),
    ...(seqs && { seqs: seqs.map(provisional) }),
  };
}

function asProvisional(error: ConflictError): ConflictError {
  const version = error.currentVersion === undefined ? undefined : provisional(error.currentVersion);
  const details = { ...error.details, currentVersion: version ?? null };
  return new ConflictError(error.message, version, { cause: error, details });
}
