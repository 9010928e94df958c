import { type InputIssue, InvalidInputError, quote } from '../../core/errors.ts';
import { idProblem, kindOf } from '../../core/ids.ts';
import type { Batch, IndexEntry, Operation, TextVector } from '../../core/store.ts';

/** The most operations, and the most entries of one append, that a batch may have. */
export const MAX_OPERATIONS = 10_000;
export const MAX_ENTRIES = 100_000;
/** The most terms that a text document may have. */
const MAX_TERMS = 50_000;
/** What a term of the full-text index is made of: what every index there is takes as it is. */
export const TERM = /^[a-z0-9]{1,64}$/;
/** Base64 of at least four bytes. */
export const VECTOR = /^[A-Za-z0-9+/]{6,}={0,2}$/;
/** The highest version that may be given: versions of the store's own go beyond it, and stay exact numbers. */
export const MAX_VERSION = 2 ** 50;

/**
 * Checks a batch before anything is written, in the same words for every store.
 * @throws InvalidInputError with all problems
 */
export function checkBatch(batch: Batch): void {
  const issues = new BatchCheck().issues(batch);
  if (issues) throw new InvalidInputError('bad batch', issues);
}

/** One look over a batch. It is on the way of every write: where something stands is put in words only for an issue. */
class BatchCheck {
  #issues: InputIssue[] | undefined;
  #operation = -1;
  #entry = -1;

  issues({ id, partition, operations }: Batch): InputIssue[] | undefined {
    this.#name('partition.tenant', partition.tenant);
    this.#name('partition.type', partition.type);
    this.#name('partition.id', partition.id);
    if (id !== undefined) this.#name('id', id);
    if (operations.length === 0) this.#issue('operations', 'must not be empty');
    if (operations.length > MAX_OPERATIONS) {
      this.#issue('operations', `has ${operations.length}, the limit is ${MAX_OPERATIONS}`);
      return this.#issues;
    }
    for (const operation of operations) {
      this.#operation++;
      this.#check(operation);
    }
    if (operations.length > 1) this.#together(operations);
    return this.#issues;
  }

  #check(operation: Operation): void {
    switch (operation.op) {
      case 'check':
      case 'put':
      case 'delete':
      case 'add':
        this.#record(operation);
        return;
      case 'append':
        this.#name('log', operation.log);
        this.#number('ifLastSeq', operation.ifLastSeq, 0);
        this.#number('startSeq', operation.startSeq, 1);
        this.#entries(operation);
        return;
      case 'rewrite':
        this.#name('log', operation.log);
        this.#text(operation.value);
        this.#number('seq', operation.seq ?? Number.NaN, 1);
        this.#number('ifVersion', operation.ifVersion, 0);
        if (operation.mark !== undefined && operation.mark !== null) this.#name('mark', operation.mark);
        return;
      case 'truncate':
        this.#name('log', operation.log);
        this.#number('before', operation.before, 0);
        this.#number('after', operation.after, 0);
        this.#number('ifLastSeq', operation.ifLastSeq, 0);
        if (operation.before === undefined && operation.after === undefined)
          this.#issue('', 'needs before or after');
        return;
      case 'index':
      case 'unindex':
      case 'embed':
        this.#document(operation);
        return;
      case 'expire':
        if (operation.at !== null) this.#number('at', operation.at ?? Number.NaN);
        return;
      case 'drop':
        this.#number('ifExpiredAt', operation.ifExpiredAt);
        return;
      default:
        this.#issue('op', `is no operation: ${kindOf((operation as Operation).op)}`);
    }
  }

  #record(operation: Operation & { op: 'check' | 'put' | 'delete' | 'add' }): void {
    this.#name('kind', operation.kind);
    this.#name('id', operation.id);
    if (operation.op === 'add') {
      this.#deltas(operation.deltas);
      return;
    }
    const { op, ifVersion } = operation;
    const named =
      ifVersion === 'absent' || ifVersion === 'present' || (ifVersion === undefined && op !== 'check');
    if (!named && !Number.isSafeInteger(ifVersion)) {
      this.#issue('ifVersion', `expected a version, 'absent' or 'present', got ${kindOf(ifVersion)}`);
    }
    if (op !== 'put') return;
    this.#text(operation.value);
    this.#number('version', operation.version, 1, MAX_VERSION);
    if (operation.counter) this.#counter(operation);
    if (operation.patch !== undefined)
      this.#text('set' in operation.patch ? operation.patch.set : operation.patch.merge, 'patch');
    if (operation.indexes) this.#indexes(operation.indexes);
  }

  #document(operation: Operation & { op: 'index' | 'unindex' | 'embed' }): void {
    this.#name('collection', operation.collection);
    if (operation.op !== 'unindex' || operation.id !== undefined) this.#name('id', operation.id);
    if (operation.op === 'unindex') return;
    if (operation.op === 'embed') {
      this.#name('model', operation.model);
      this.#vectors(operation.vectors);
      return;
    }
    this.#name('scope', operation.scope);
    this.#text(operation.value);
    if (!Number.isFinite(operation.order))
      this.#issue('order', `expected a number, got ${kindOf(operation.order)}`);
    const { terms } = operation;
    if (terms.length > MAX_TERMS) this.#issue('terms', `has ${terms.length}, the limit is ${MAX_TERMS}`);
    const bad = terms.find((term) => !TERM.test(term));
    if (bad !== undefined) this.#issue('terms', `expected a-z and 0-9, 1 to 64 of them, got ${quote(bad)}`);
    if (new Set(terms).size < terms.length) this.#issue('terms', 'has the same term twice');
  }

  #vectors(vectors: readonly TextVector[]): void {
    const length = vectors[0]?.values.length;
    for (const { key, values } of vectors) {
      this.#name('vectors.key', key);
      if (typeof values !== 'string' || !VECTOR.test(values) || values.length !== length)
        this.#issue('vectors.values', 'expected base64 of 32-bit numbers, as many in each');
    }
  }

  /** A counter that is put whole: its fields are checked like those that are added to. */
  #counter({ value, indexes }: Operation & { op: 'put' }): void {
    if (indexes && indexes.length > 0) this.#issue('indexes', 'a counter has no places in indexes');
    try {
      const fields: unknown = JSON.parse(value);
      if (typeof fields === 'object' && fields !== null && !Array.isArray(fields)) {
        this.#deltas(fields as Record<string, number>);
        return;
      }
    } catch {
      // falls through
    }
    this.#issue('value', "expected a counter's fields, a JSON object of numbers");
  }

  #deltas(deltas: Record<string, number>): void {
    for (const [field, delta] of Object.entries(deltas)) {
      this.#name('deltas', field);
      if (!Number.isFinite(delta)) this.#issue(`deltas.${field}`, `expected a number, got ${kindOf(delta)}`);
    }
  }

  #indexes(indexes: readonly IndexEntry[]): void {
    const seen = new Set<string>();
    for (const { index, key, order } of indexes) {
      this.#name('indexes.index', index);
      if (key !== '') this.#name('indexes.key', key);
      if (String(index).startsWith('$')) this.#issue('indexes', "names that start with '$' are reserved");
      if (!Number.isFinite(order)) this.#issue('indexes.order', `expected a number, got ${kindOf(order)}`);
      const place = `${index}\0${key}`;
      if (seen.has(place)) this.#issue('indexes', 'has the same index and key twice');
      seen.add(place);
    }
  }

  #entries({ entries }: Operation & { op: 'append' }): void {
    if (entries.length === 0 || entries.length > MAX_ENTRIES) {
      this.#issue('entries', `has ${entries.length} entries, expected 1 to ${MAX_ENTRIES}`);
      return;
    }
    for (const { id, mark, value, version } of entries) {
      this.#entry++;
      if (id !== undefined) this.#name('id', id);
      if (mark !== undefined) this.#name('mark', mark);
      this.#number('version', version, 1, MAX_VERSION);
      this.#text(value);
    }
    this.#entry = -1;
  }

  /** A batch writes each record, log and the expiry at most once, and a drop stands alone. */
  #together(operations: readonly Operation[]): void {
    const seen = new Set<string>();
    for (const [i, operation] of operations.entries()) {
      this.#operation = i;
      if (operation.op === 'check') continue;
      const target = targetOf(operation);
      if (operation.op === 'drop') this.#issue('', 'a drop must be the only operation');
      if (seen.has(target)) this.#issue('', 'writes what another operation of the batch writes');
      seen.add(target);
    }
  }

  #name(field: string, name: unknown): void {
    const problem = idProblem(name);
    if (problem) this.#issue(field, problem);
  }

  #number(field: string, value: unknown, least = -Infinity, most = Infinity): void {
    if (value === undefined || (Number.isSafeInteger(value) && inRange(value as number, least, most))) return;
    const atMost = most === Infinity ? '' : ` and at most ${most}`;
    const expected = least === -Infinity ? 'a whole number' : `a whole number of at least ${least}${atMost}`;
    this.#issue(field, `expected ${expected}, got ${typeof value === 'number' ? value : kindOf(value)}`);
  }

  /** JSON text has no raw NUL, and what `JSON.stringify` gives is well-formed: anything else could not be kept exactly. */
  #text(value: unknown, field = 'value'): void {
    if (typeof value !== 'string') this.#issue(field, `expected JSON text, got ${kindOf(value)}`);
    else if (value.length === 0 || value.includes('\0') || !value.isWellFormed()) {
      this.#issue(field, 'is no JSON text: it is empty, or has a NUL or an unpaired surrogate in it');
    }
  }

  #issue(field: string, message: string): void {
    const operation = this.#operation < 0 ? '' : `operations[${this.#operation}]`;
    const entry = this.#entry < 0 ? '' : `entries[${this.#entry}]`;
    this.#issues ??= [];
    this.#issues.push({ path: [operation, entry, field].filter((part) => part !== '').join('.'), message });
  }
}

function inRange(value: number, least: number, most: number): boolean {
  return value >= least && value <= most;
}

/** What an operation writes. NUL is in no name: no two targets are mistaken for one. */
function targetOf(operation: Exclude<Operation, { op: 'check' }>): string {
  if ('log' in operation) return `log\0${operation.log}`;
  if ('collection' in operation) {
    const { op, collection, id = '' } = operation;
    return [op, collection, id, op === 'embed' ? operation.model : ''].join('\0');
  }
  return 'kind' in operation ? `${operation.kind}\0${operation.id}\0` : operation.op;
}
