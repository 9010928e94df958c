import { UnsupportedError } from '../../core/errors.ts';
import type { AppendEntry, Batch, IfVersion, Operation } from '../../core/store.ts';
import { partitionKey } from '../shared/pages.ts';
import type { Keys, PartitionKeys } from './keys.ts';
import { encodeOrder } from './order.ts';

/** A batch on its way: with its shard and, for a drop, the logs that go with the partition. */
export interface Sending {
  readonly batch: Batch;
  readonly shard: number;
  readonly logs?: readonly string[];
}

/** Redis takes no more arguments than 1,048,576 in one command. */
const MAX_ARGUMENTS = 1_000_000;

/**
 * Packs batches as the keys and arguments of `commit.lua`, whose header tells their order. What there is of it is paid
 * for with every write: few and short arguments.
 */
export class CallPacker {
  readonly keys: string[] = [];
  readonly args: string[] = [];
  readonly #keys: Keys;

  constructor(keys: Keys) {
    this.#keys = keys;
  }

  /** The batches of one shard. */
  addShard(shard: number, batches: readonly Sending[]): void {
    const { keys, args } = this;
    const names = this.#keys;
    keys.push(
      names.journal(shard),
      names.index(shard),
      names.counter(shard),
      names.receipts(shard),
      names.receiptOrder(shard),
    );
    args.push(String(batches.length));
    for (const sending of batches) this.#addBatch(sending);
  }

  #addBatch({ batch, shard, logs = [] }: Sending): void {
    const { keys, args } = this;
    const names = this.#keys.partition(shard, batch.partition);
    keys.push(names.hash, names.names);
    args.push(partitionKey(batch.partition), batch.id ?? '', '', '', '');
    const keysAt = keys.length;
    const argsAt = args.length;
    args.push('');
    for (const operation of batch.operations) addFields(args, operation);
    args[argsAt - 1] = String(args.length - argsAt);
    args.push(String(batch.operations.length));
    for (const operation of batch.operations) addOperation(keys, args, names, operation, logs);
    // What lies behind the two counts.
    args[argsAt - 3] = String(keys.length - keysAt);
    args[argsAt - 2] = String(args.length - argsAt + 1);
    if (args.length - argsAt + keys.length - keysAt > MAX_ARGUMENTS) throw tooLarge();
  }
}

function tooLarge(): UnsupportedError {
  return new UnsupportedError('the batch is larger than what Redis takes in one call', {
    hint: 'Write it in several batches of fewer entries.',
    details: { maxArguments: MAX_ARGUMENTS },
  });
}

function addFields(args: string[], operation: Operation): void {
  if (!('kind' in operation)) return;
  const name = `${operation.kind}\0${operation.id}`;
  args.push(`\0${name}`);
  if (operation.op === 'add') args.push(name);
}

function addOperation(
  keys: string[],
  args: string[],
  names: PartitionKeys,
  operation: Operation,
  logs: readonly string[],
): void {
  switch (operation.op) {
    case 'check':
      args.push('c', condition(operation.ifVersion));
      return;
    case 'put':
      addPut(args, operation);
      return;
    case 'add': {
      const deltas = Object.entries(operation.deltas);
      args.push('+', String(deltas.length));
      for (const [field, delta] of deltas) args.push(field, String(delta));
      return;
    }
    case 'delete':
      args.push('d', condition(operation.ifVersion));
      return;
    case 'append':
      addAppend(keys, args, names, operation);
      return;
    case 'rewrite': {
      const { log, seq, ifVersion, mark, value } = operation;
      keys.push(names.stream(log), names.overlay(log), names.marks(log));
      const newMark = mark === undefined ? '=' : mark === null ? '-' : `+${mark}`;
      args.push('w', log, String(seq), text(ifVersion), newMark, value);
      return;
    }
    case 'truncate': {
      const { log, before, after, ifLastSeq } = operation;
      keys.push(...logKeys(names, log));
      args.push('t', log, text(before), text(after), text(ifLastSeq));
      return;
    }
    case 'expire':
      args.push('e', operation.at === null ? '' : encodeOrder(operation.at) + operation.at);
      return;
    case 'drop':
      for (const log of logs) keys.push(...logKeys(names, log));
      args.push('x', text(operation.ifExpiredAt), String(logs.length), ...logs);
  }
}

function addPut(args: string[], put: Operation & { op: 'put' }): void {
  const { ifVersion, version, counter, value, indexes = [] } = put;
  const kept = counter ? packCounter(value) : value;
  args.push('p', condition(ifVersion), text(version), counter ? 'c' : '', kept, String(indexes.length));
  for (const { index, key, order } of indexes) args.push(`${index}\0${key}\0${encodeOrder(order)}`);
}

function addAppend(
  keys: string[],
  args: string[],
  names: PartitionKeys,
  append: Operation & { op: 'append' },
): void {
  const { log, ifLastSeq, startSeq, entries } = append;
  const labels = hasLabels(append);
  args.push(labels ? 'A' : 'a', log, text(ifLastSeq), text(startSeq), String(entries.length));
  if (!labels) {
    keys.push(names.stream(log));
    for (const { value } of entries) args.push(value);
    return;
  }
  keys.push(names.stream(log), names.ids(log), names.marks(log));
  for (const { id = '', mark = '', version = 1, value } of entries)
    args.push(id, mark, String(version), value);
}

/** Whether an append has more to tell than values. */
export function hasLabels({ entries }: Operation & { op: 'append' }): boolean {
  return entries.some(isLabelled);
}

function isLabelled({ id, mark, version = 1 }: AppendEntry): boolean {
  return id !== undefined || mark !== undefined || version !== 1;
}

/** All keys of a log, as `truncate` and `drop` have them. */
function logKeys(names: PartitionKeys, log: string): string[] {
  return [names.stream(log), names.overlay(log), names.ids(log), names.marks(log)];
}

function condition(ifVersion: IfVersion | undefined): string {
  if (ifVersion === undefined) return '';
  if (ifVersion === 'absent') return 'a';
  return ifVersion === 'present' ? 'p' : String(ifVersion);
}

function text(number: number | undefined): string {
  return number === undefined ? '' : String(number);
}

/** A counter as it is stored: fields and numbers with NULs between, so that Lua needs to know no JSON. */
function packCounter(json: string): string {
  return Object.entries(JSON.parse(json) as Record<string, number>)
    .flat()
    .join('\0');
}

/** The fields of a stored counter. */
export function counterFields(packed: string): Record<string, number> {
  if (packed === '') return {};
  const pieces = packed.split('\0');
  const fields = Array.from({ length: pieces.length / 2 }, (_, i): [string, number] => [
    pieces[i * 2]!,
    Number(pieces[i * 2 + 1]),
  ]);
  return Object.fromEntries(fields);
}
