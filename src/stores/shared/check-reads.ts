import { type InputIssue, InvalidInputError } from '../../core/errors.ts';
import { idProblem, kindOf } from '../../core/ids.ts';
import {
  EXPIRY_INDEX,
  type IndexRange,
  type LogRange,
  PARTITION_INDEX,
  type Partition,
  type RecordKey,
  type RecordRange,
  type TextQuery,
} from '../../core/store.ts';
import { TERM, VECTOR } from './check-batch.ts';

/** The most items of one page. */
export const MAX_PAGE = 10_000;
const MAX_QUERY_TERMS = 64;
const MAX_TEXTS = 1000;
const MAX_SEQS = 1000;

/*
 * What reads ask for is checked like what batches write, in the same words for every store: a name with a NUL or an
 * unpaired surrogate in it could otherwise be taken for another one. All throw InvalidInputError with all problems.
 */

export function checkKeys(keys: readonly RecordKey[]): void {
  const issues: InputIssue[] = [];
  for (let i = 0; i < keys.length; i++) {
    const { partition, kind, id } = keys[i]!;
    addPartition(issues, `keys[${i}].partition`, partition);
    addName(issues, `keys[${i}].kind`, kind);
    addName(issues, `keys[${i}].id`, id);
  }
  refuse('bad key', issues);
}

export function checkPartition(partition: Partition): void {
  const issues: InputIssue[] = [];
  addPartition(issues, 'partition', partition);
  refuse('bad partition', issues);
}

export function checkRecordRange(partition: Partition, kind: string | undefined, range: RecordRange): void {
  const issues: InputIssue[] = [];
  addPartition(issues, 'partition', partition);
  if (kind !== undefined) addName(issues, 'kind', kind);
  addLimit(issues, range.limit);
  refuse('bad range', issues);
}

export function checkLogRange(partition: Partition, log: string, range: LogRange): void {
  const issues: InputIssue[] = [];
  addPartition(issues, 'partition', partition);
  addName(issues, 'log', log);
  addLimit(issues, range.limit);
  for (const bound of ['after', 'before'] as const) {
    const seq = range[bound];
    if (seq !== undefined && !Number.isSafeInteger(seq)) {
      issues.push({ path: bound, message: `expected a whole number, got ${kindOf(seq)}` });
    }
  }
  if (range.mark !== undefined) addName(issues, 'mark', range.mark);
  if (range.ids) for (let i = 0; i < range.ids.length; i++) addName(issues, `ids[${i}]`, range.ids[i]);
  if (range.seqs) addSeqs(issues, range.seqs);
  if (range.seqs && range.ids) issues.push({ path: 'seqs', message: 'ids are given already: one of them' });
  refuse('bad range', issues);
}

export function checkIndexRange(range: IndexRange): void {
  const issues: InputIssue[] = [];
  const kept = range.index === EXPIRY_INDEX || range.index === PARTITION_INDEX;
  if (range.tenant !== undefined) addName(issues, 'tenant', range.tenant);
  else if (!kept) issues.push({ path: 'tenant', message: 'an index is read one tenant at a time' });
  addName(issues, 'index', range.index);
  if (range.key !== '') addName(issues, 'key', range.key);
  for (const bound of ['from', 'to'] as const) {
    const order: unknown = range[bound];
    if (order !== undefined && (typeof order !== 'number' || Number.isNaN(order))) {
      issues.push({ path: bound, message: `expected a number, got ${kindOf(order)}` });
    }
  }
  addLimit(issues, range.limit);
  refuse('bad range', issues);
}

export function checkTextQuery({ tenant, collection, within, terms, limit, near }: TextQuery): void {
  const issues: InputIssue[] = [];
  addName(issues, 'tenant', tenant);
  addName(issues, 'collection', collection);
  if ('partition' in within) addPartition(issues, 'within.partition', within.partition);
  else addName(issues, 'within.scope', within.scope);
  if ('partition' in within && within.partition.tenant !== tenant)
    issues.push({ path: 'within.partition.tenant', message: 'is not the tenant that is asked for' });
  if (terms.length > MAX_QUERY_TERMS)
    issues.push({ path: 'terms', message: `has ${terms.length}, the limit is ${MAX_QUERY_TERMS}` });
  if (new Set(terms).size < terms.length || !terms.every((term) => TERM.test(term)))
    issues.push({ path: 'terms', message: 'expected a-z and 0-9, 1 to 64 of them in each, none twice' });
  if (near) addName(issues, 'near.model', near.model);
  if (near && !VECTOR.test(near.values))
    issues.push({ path: 'near.values', message: 'expected base64 of 32-bit numbers' });
  addLimit(issues, limit, MAX_TEXTS);
  refuse('bad query', issues);
}

export function checkLimit(limit: number): void {
  const issues: InputIssue[] = [];
  addLimit(issues, limit);
  refuse('bad range', issues);
}

function addPartition(issues: InputIssue[], path: string, { tenant, type, id }: Partition): void {
  addName(issues, `${path}.tenant`, tenant);
  addName(issues, `${path}.type`, type);
  addName(issues, `${path}.id`, id);
}

function addName(issues: InputIssue[], path: string, name: unknown): void {
  const problem = idProblem(name);
  if (problem) issues.push({ path, message: problem });
}

function addSeqs(issues: InputIssue[], seqs: readonly unknown[]): void {
  if (seqs.length > MAX_SEQS)
    issues.push({ path: 'seqs', message: `has ${seqs.length}, the limit is ${MAX_SEQS}` });
  for (const [i, seq] of seqs.slice(0, MAX_SEQS).entries()) {
    if (Number.isSafeInteger(seq)) continue;
    issues.push({ path: `seqs[${i}]`, message: `expected a whole number, got ${kindOf(seq)}` });
  }
}

function addLimit(issues: InputIssue[], limit: unknown, most = MAX_PAGE): void {
  if (Number.isInteger(limit) && (limit as number) >= 0 && (limit as number) <= most) return;
  issues.push({
    path: 'limit',
    message: `expected a whole number from 0 to ${most}, got ${String(limit)}`,
  });
}

function refuse(what: string, issues: readonly InputIssue[]): void {
  if (issues.length > 0) throw new InvalidInputError(what, issues);
}
