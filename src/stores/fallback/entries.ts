import { decodeJson, type JsonText } from '../../core/json.ts';
import type { Batch, Operation, Partition } from '../../core/store.ts';
import { local } from './truth.ts';

/** The log of a partition in the spool that holds the batches to be replayed. */
export const SPOOL_LOG = '$spool';
/** A record with which a partition says that it began in the spool: what is not there is nowhere. */
export const BORN = { kind: '$born', id: '$born' } as const;

/** A record that says who replays a partition: it goes with the partition, and its version is never the same again. */
export const MARK = { kind: '$replay', id: '$replay' } as const;

/** A batch as it is to be replayed. Conditions that the spool has judged are judged. */
export function encodeBatch({ id, operations }: Batch, judged: boolean): JsonText {
  return JSON.stringify({ id, operations: operations.flatMap((one) => toReplay(one, judged)) });
}

export function decodeBatch(partition: Partition, text: JsonText): Batch {
  return { partition, ...decodeJson<Omit<Batch, 'partition'>>(text) };
}

function toReplay(operation: Operation, judged: boolean): Operation[] {
  switch (operation.op) {
    case 'check':
      return judged ? [] : [operation];
    case 'put': {
      const { patch, ifVersion: _, ...put } = operation;
      // The value is made of what is there by then.
      return [patch ? { ...put, patch, value: '{}' } : put];
    }
    case 'delete': {
      const { ifVersion: _, ...remove } = operation;
      return [remove];
    }
    case 'append': {
      const { ifLastSeq: _, ...append } = operation;
      return [append];
    }
    default:
      return [operation];
  }
}

/**
 * What an operation does to what can be read meanwhile; undefined for nothing. Conditions are kept where the spool
 * judges them.
 */
export function toView(operation: Operation, judged: boolean): Operation | undefined {
  switch (operation.op) {
    case 'expire':
      return undefined;
    case 'check':
      return judged ? withVersion(operation) : undefined;
    case 'put':
    case 'delete':
      return withVersion(operation);
    case 'append': {
      const { ifLastSeq } = operation;
      return ifLastSeq ? { ...operation, ifLastSeq: endOf(ifLastSeq) } : operation;
    }
    default:
      return operation;
  }
}

/** A real seq is none that a log in the spool can end at; only zero, an empty log, is the same everywhere. */
function endOf(seq: number): number {
  return local(seq) >= 0 ? local(seq) : Number.MAX_SAFE_INTEGER;
}

function withVersion<T extends Operation & { op: 'check' | 'put' | 'delete' }>(operation: T): T {
  const { ifVersion } = operation;
  return typeof ifVersion === 'number' ? { ...operation, ifVersion: local(ifVersion) } : operation;
}
