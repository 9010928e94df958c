import type { Operation, TextVector } from '../../core/store.ts';
import { numbersOf } from '../shared/texts.ts';
import { EVERY } from './schema-texts.ts';
import { areComparable, digitsOf } from './vectors.ts';

/** Operations that change what is there, or the full-text index. */
export type Mending = Operation & {
  op: 'rewrite' | 'truncate' | 'expire' | 'drop' | 'index' | 'unindex' | 'embed';
};

/** What is said of one, in columns that mean what its kind takes them for. */
interface Mend {
  readonly log?: string;
  readonly a?: number | null;
  readonly b?: number | undefined;
  readonly if?: number | undefined;
  readonly value?: string | undefined;
  readonly mark?: string | null | undefined;
}

/** A tsvector holds a megabyte: more terms than these go into several. */
const MOST_TERMS = 4000;

export function mendOf(operation: Mending): Mend {
  switch (operation.op) {
    case 'rewrite': {
      const { log, seq, value, mark, ifVersion } = operation;
      return { log, a: seq, value, mark, if: ifVersion };
    }
    case 'truncate': {
      const { log, before, after, ifLastSeq } = operation;
      return { log, a: before ?? null, b: after, if: ifLastSeq };
    }
    case 'expire':
      return { a: operation.at };
    case 'drop':
      return { if: operation.ifExpiredAt };
    case 'index': {
      const { collection, id, scope, terms, value, order } = operation;
      return { log: collection, value, mark: JSON.stringify({ id, scope, order, parts: partsOf(terms) }) };
    }
    case 'unindex':
      return { log: operation.collection, value: operation.id };
    case 'embed': {
      const { collection, id, model, vectors } = operation;
      return {
        log: collection,
        value: id,
        mark: JSON.stringify({ model, vectors: vectors.map(vectorOf) }),
      };
    }
  }
}

/** Terms as a tsvector is written, each at the one place that its document has. */
function partsOf(terms: readonly string[]): string[] {
  const count = Math.max(1, Math.ceil(terms.length / MOST_TERMS));
  const size = Math.ceil(terms.length / count);
  return Array.from({ length: count }, (_, i) =>
    [EVERY, ...terms.slice(i * size, (i + 1) * size)].map((term) => `${term}:1`).join(' '),
  );
}

function vectorOf({ key, values }: TextVector): [key: string, numbers: string, comparable: boolean] {
  const numbers = numbersOf(values);
  return [key, `{${digitsOf(numbers)}}`, areComparable(numbers)];
}
