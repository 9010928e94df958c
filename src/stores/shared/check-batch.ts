import { type InputIssue, InvalidInputError } from '../../core/errors.ts';
import { idProblem, kindOf } from '../../core/ids.ts';
import type { Batch, Operation } from '../../core/store.ts';

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
      if (operation.op === 'put') checkIndexes(issues, path, operation);
      return;
    case 'append':
      checkName(issues, `${path}.log`, operation.log);
      checkEntries(issues, `${path}.entries`, operation);
      return;
    case 'rewrite':
      checkName(issues, `${path}.log`, operation.log);
      checkText(issues, `${path}.value`, operation.value);
      if (operation.mark) checkName(issues, `${path}.mark`, operation.mark);
      return;
    case 'truncate':
      checkName(issues, `${path}.log`, operation.log);
      return;
    case 'expire':
    case 'drop':
      return;
    default:
      issues.push({ path: `${path}.op`, message: `is no operation: ${kindOf((operation as Operation).op)}` });
  }
}

function checkText(issues: InputIssue[], path: string, value: unknown): void {
  if (typeof value !== 'string') issues.push({ path, message: `expected JSON text, got ${kindOf(value)}` });
}

function checkDeltas(issues: InputIssue[], path: string, deltas: Record<string, number>): void {
  for (const [field, delta] of Object.entries(deltas)) {
    checkName(issues, path, field);
    if (!Number.isFinite(delta))
      issues.push({ path: `${path}.${field}`, message: `expected a number, got ${kindOf(delta)}` });
  }
}

function checkIndexes(issues: InputIssue[], path: string, put: Operation & { op: 'put' }): void {
  checkText(issues, `${path}.value`, put.value);
  for (const entry of put.indexes ?? []) {
    checkName(issues, `${path}.indexes.index`, entry.index);
    if (entry.key !== '') checkName(issues, `${path}.indexes.key`, entry.key);
    if (entry.index.startsWith('$'))
      issues.push({ path: `${path}.indexes`, message: "names that start with '$' are reserved" });
    if (!Number.isFinite(entry.order))
      issues.push({ path: `${path}.indexes.order`, message: 'expected a number' });
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
