import { type InputIssue, InvalidInputError } from '../../core/errors.ts';
import { idProblem, kindOf } from '../../core/ids.ts';
import type { Batch, IndexEntry, Operation } from '../../core/store.ts';

/** The most operations, and the most entries of one append, that a batch may have. */
export const MAX_OPERATIONS = 10_000;
export const MAX_ENTRIES = 100_000;

/**
 * Checks a batch before anything is written, in the same words for every store.
 * @throws InvalidInputError with all problems
 */
export function checkBatch(batch: Batch): void {
  const issues: InputIssue[] = [];
  checkName(issues, 'partition.tenant', batch.partition.tenant);
  checkName(issues, 'partition.type', batch.partition.type);
  checkName(issues, 'partition.id', batch.partition.id);
  if (batch.id !== undefined) checkName(issues, 'id', batch.id);
  const { operations } = batch;
  if (operations.length === 0) issues.push({ path: 'operations', message: 'must not be empty' });
  if (operations.length > MAX_OPERATIONS) {
    issues.push({ path: 'operations', message: `has ${operations.length}, the limit is ${MAX_OPERATIONS}` });
  } else {
    for (let i = 0; i < operations.length; i++) checkOperation(issues, `operations[${i}]`, operations[i]!);
    if (operations.length > 1) checkTogether(issues, operations);
  }
  if (issues.length > 0) throw new InvalidInputError('bad batch', issues);
}

function checkName(issues: InputIssue[], path: string, name: unknown): void {
  const problem = idProblem(name);
  if (problem) issues.push({ path, message: problem });
}

function checkOperation(issues: InputIssue[], path: string, operation: Operation): void {
  switch (operation.op) {
    case 'check':
    case 'put':
    case 'add':
    case 'delete':
      checkName(issues, `${path}.kind`, operation.kind);
      checkName(issues, `${path}.id`, operation.id);
      if (operation.op === 'add') checkDeltas(issues, `${path}.deltas`, operation.deltas);
      else checkIfVersion(issues, `${path}.ifVersion`, operation);
      if (operation.op === 'put') {
        checkText(issues, `${path}.value`, operation.value);
        if (operation.indexes) checkIndexes(issues, `${path}.indexes`, operation.indexes);
      }
      return;
    case 'append':
      checkName(issues, `${path}.log`, operation.log);
      checkNumber(issues, `${path}.ifLastSeq`, operation.ifLastSeq, 0);
      checkNumber(issues, `${path}.startSeq`, operation.startSeq, 1);
      checkEntries(issues, `${path}.entries`, operation);
      return;
    case 'rewrite':
      checkName(issues, `${path}.log`, operation.log);
      checkText(issues, `${path}.value`, operation.value);
      checkNumber(issues, `${path}.seq`, operation.seq ?? Number.NaN, 1);
      checkNumber(issues, `${path}.ifVersion`, operation.ifVersion, 0);
      if (operation.mark !== undefined && operation.mark !== null)
        checkName(issues, `${path}.mark`, operation.mark);
      return;
    case 'truncate':
      checkName(issues, `${path}.log`, operation.log);
      checkNumber(issues, `${path}.before`, operation.before, 0);
      checkNumber(issues, `${path}.after`, operation.after, 0);
      if (operation.before === undefined && operation.after === undefined)
        issues.push({ path, message: 'needs before or after' });
      return;
    case 'expire':
      if (operation.at !== null) checkNumber(issues, `${path}.at`, operation.at ?? Number.NaN);
      return;
    case 'drop':
      checkNumber(issues, `${path}.ifExpiredAt`, operation.ifExpiredAt);
      return;
    default:
      issues.push({ path: `${path}.op`, message: `is no operation: ${kindOf((operation as Operation).op)}` });
  }
}

/** JSON text has no raw NUL, and what `JSON.stringify` gives is well-formed: anything else could not be kept exactly. */
function checkText(issues: InputIssue[], path: string, value: unknown): void {
  if (typeof value !== 'string') issues.push({ path, message: `expected JSON text, got ${kindOf(value)}` });
  else if (value.length === 0 || value.includes('\0') || !value.isWellFormed())
    issues.push({
      path,
      message: 'is no JSON text: it is empty, or has a NUL or an unpaired surrogate in it',
    });
}

function checkNumber(issues: InputIssue[], path: string, value: unknown, least = -Infinity): void {
  if (value === undefined || (Number.isSafeInteger(value) && (value as number) >= least)) return;
  const expected = least === -Infinity ? 'a whole number' : `a whole number of at least ${least}`;
  issues.push({
    path,
    message: `expected ${expected}, got ${typeof value === 'number' ? value : kindOf(value)}`,
  });
}

function checkIfVersion(
  issues: InputIssue[],
  path: string,
  { op, ifVersion }: Operation & { op: 'check' | 'put' | 'delete' },
): void {
  if (ifVersion === undefined && op !== 'check') return;
  if (ifVersion === 'absent' || ifVersion === 'present') return;
  if (typeof ifVersion !== 'number' || !Number.isSafeInteger(ifVersion))
    issues.push({ path, message: `expected a version, 'absent' or 'present', got ${kindOf(ifVersion)}` });
}

function checkDeltas(issues: InputIssue[], path: string, deltas: Record<string, number>): void {
  for (const [field, delta] of Object.entries(deltas)) {
    checkName(issues, path, field);
    if (!Number.isFinite(delta))
      issues.push({ path: `${path}.${field}`, message: `expected a number, got ${kindOf(delta)}` });
  }
}

function checkIndexes(issues: InputIssue[], path: string, indexes: readonly IndexEntry[]): void {
  const seen = new Set<string>();
  for (const { index, key, order } of indexes) {
    checkName(issues, `${path}.index`, index);
    if (key !== '') checkName(issues, `${path}.key`, key);
    if (String(index).startsWith('$'))
      issues.push({ path, message: "names that start with '$' are reserved" });
    if (!Number.isFinite(order))
      issues.push({ path: `${path}.order`, message: `expected a number, got ${kindOf(order)}` });
    const place = `${index}\0${key}`;
    if (seen.has(place)) issues.push({ path, message: 'has the same index and key twice' });
    seen.add(place);
  }
}

function checkEntries(issues: InputIssue[], path: string, append: Operation & { op: 'append' }): void {
  const { entries } = append;
  if (entries.length === 0 || entries.length > MAX_ENTRIES) {
    issues.push({ path, message: `has ${entries.length} entries, expected 1 to ${MAX_ENTRIES}` });
    return;
  }
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    if (entry.id !== undefined) checkName(issues, `${path}[${i}].id`, entry.id);
    if (entry.mark !== undefined) checkName(issues, `${path}[${i}].mark`, entry.mark);
    checkText(issues, `${path}[${i}].value`, entry.value);
  }
}

/** A batch writes each record, log and the expiry at most once, and a drop stands alone. */
function checkTogether(issues: InputIssue[], operations: readonly Operation[]): void {
  const records = new Set<string>();
  const logs = new Set<string>();
  for (let i = 0; i < operations.length; i++) {
    const operation = operations[i]!;
    if (operation.op === 'check') continue;
    const [seen, target] =
      'log' in operation
        ? [logs, operation.log]
        : [records, 'kind' in operation ? `${operation.kind}\0${operation.id}` : operation.op];
    if (operation.op === 'drop')
      issues.push({ path: `operations[${i}]`, message: 'a drop must be the only operation' });
    if (seen.has(target))
      issues.push({ path: `operations[${i}]`, message: 'writes what another operation of the batch writes' });
    seen.add(target);
  }
}
