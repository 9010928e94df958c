import type { Operation, TextVector } from '../../core/store.ts';
import { encodeTerms } from './terms.ts';

export type TextOperation = Operation & { op: 'index' | 'unindex' | 'embed' };

/** Adds what an operation on text documents has in its batch's shape, and its values. */
export function addText(pieces: (string | number)[], values: string[], operation: TextOperation): void {
  const { collection, id = '' } = operation;
  switch (operation.op) {
    case 'index':
      pieces.push('i', collection, id, operation.scope, operation.order);
      values.push(encodeTerms(operation.terms), operation.value);
      return;
    case 'unindex':
      pieces.push('u', collection, id);
      return;
    case 'embed':
      pieces.push('m', collection, id, operation.model);
      values.push(packVectors(operation.vectors));
  }
}

/** How much text goes into a call with the operation. */
export function lengthOfText(operation: TextOperation): number {
  let length = 1;
  if (operation.op === 'index') {
    length += operation.value.length;
    for (const term of operation.terms) length += term.length;
  }
  if (operation.op === 'embed') for (const { values } of operation.vectors) length += values.length;
  return length;
}

/** Vectors as they are kept: their number, and each one's key and values. */
function packVectors(vectors: readonly TextVector[]): string {
  if (vectors.length === 0) return '';
  return [vectors.length, ...vectors.flatMap(({ key, values }) => [key, values])].join('\0');
}
