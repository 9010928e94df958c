import type { Operation } from '../../core/store.ts';
import { hasLabels, type Sending } from './pack.ts';

const MAX_REMEMBERED = 50_000;
/** The short way is for small batches. */
const MAX_OPERATIONS = 100;

/**
 * Logs that were there when they were last written to. An append to one of them takes half the keys that one to a new
 * log takes. It is a guess: where it is wrong, the server does nothing and asks for the other keys.
 */
export class KnownLogs {
  readonly #known = new Set<string>();

  /** Whether all that these batches do is append to logs that are known. */
  haveAll(sendings: readonly Sending[]): boolean {
    return sendings.every((sending) => this.#has(sending));
  }

  /** A batch was committed: its logs are there, and a partition that was dropped will be asked for. */
  note({ batch, names }: Sending): void {
    for (const operation of batch.operations) {
      if (operation.op !== 'append') continue;
      if (this.#known.size >= MAX_REMEMBERED) this.#known.clear();
      this.#known.add(`${names.name}\0${operation.log}`);
    }
  }

  #has({ batch, names }: Sending): boolean {
    if (batch.id !== undefined || batch.operations.length > MAX_OPERATIONS) return false;
    for (const operation of batch.operations) {
      if (operation.op === 'check') continue;
      if (operation.op !== 'append' || !isPlain(operation)) return false;
      if (!this.#known.has(`${names.name}\0${operation.log}`)) return false;
    }
    return true;
  }
}

function isPlain(append: Operation & { op: 'append' }): boolean {
  return append.ifLastSeq === undefined && append.startSeq === undefined && !hasLabels(append);
}
