import { InvalidArgumentError } from 'commander';

/** For `parse` of a bench's option: a whole number of at least 1. */
export function positiveInteger(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('Give a whole number of at least 1.');
  return Number(text);
}
