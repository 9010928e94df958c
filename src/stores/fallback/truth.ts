import { StoreUnavailableError } from '../../core/errors.ts';
import { type Batch, type Operation, PROVISIONAL } from '../../core/store.ts';

/**
 * Why a batch can't be taken while the store is away; undefined where it can.
 * @param known whether the spool knows all there is in the partition, and can judge conditions on it
 */
export function obstacle({ operations }: Batch, known: boolean): string | undefined {
  for (const operation of operations) {
    const found = obstacleOf(operation, known);
    if (found) return found;
  }
  return undefined;
}

function obstacleOf(operation: Operation, known: boolean): string | undefined {
  switch (operation.op) {
    case 'add':
    case 'expire':
      return undefined;
    case 'check':
      // That something is there can be judged later: should it be gone by then, the write has nothing to go to.
      return known || operation.ifVersion === 'present' ? undefined : 'a condition';
    case 'put':
      if (operation.version !== undefined) return 'a given version';
      return known || operation.patch || operation.ifVersion === undefined ? undefined : 'a compare-and-set';
    case 'delete':
      return known || operation.ifVersion === undefined ? undefined : 'a compare-and-set';
    case 'append': {
      const { ifLastSeq, startSeq, entries } = operation;
      if (startSeq !== undefined || entries.some(({ version }) => version !== undefined))
        return 'a given seq or version';
      return known || ifLastSeq === undefined ? undefined : 'a compare-and-set';
    }
    case 'index':
    case 'unindex':
    case 'embed':
      // What is searched is made of what is stored, and is made again when the store is back.
      return 'a change of what is searched';
    default:
      return `a ${operation.op}`;
  }
}

/** Whether a batch can only be spooled by looking at what is there first. */
export function needsLook({ operations, fresh }: Batch): boolean {
  return fresh === true || operations.some((operation) => operation.op === 'put' && operation.patch);
}

/** The error of a write that can't be made without knowing what is stored. */
export function needsStore(what: string, cause?: unknown): StoreUnavailableError {
  return new StoreUnavailableError(`the store is away, and ${what} can't be done without it`, {
    cause,
    hint: 'Only writes that need not know what is stored are taken meanwhile. Try again when it is back.',
  });
}

/** The error of a read that the spool has nothing for. */
export function notInSpool(what: string): StoreUnavailableError {
  return new StoreUnavailableError(`the store is away, and ${what} is not in the spool`, {
    hint: 'Only what was written meanwhile can be read. Try again when the store is back.',
  });
}

/** A seq or version of the spool, as others see it. */
export function provisional(number: number): number {
  return PROVISIONAL + number;
}

/** A seq or version that others give, as the spool has it; below zero for a real one. */
export function local(number: number): number {
  return number - PROVISIONAL;
}
