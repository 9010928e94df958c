/** What somebody else's code has thrown may be anything. Looking at it here never throws, whatever it is. */
import { cut } from './cut.ts';

/** Of the name of an error (UTF-16 code units). */
const MAX_NAME = 100;

/** A field of it, `length` UTF-16 code units at most; empty where there is none, or where it is no text. */
export function textIn(thrown: unknown, field: string, length: number): string {
  try {
    const value = (thrown as Record<string, unknown> | null | undefined)?.[field];
    return typeof value === 'string' ? cut(value, length).toWellFormed() : '';
  } catch {
    return '';
  }
}

/** `instanceof`, also for a proxy that lets nobody ask. */
export function isA<T>(thrown: unknown, type: abstract new (...args: never[]) => T): thrown is T {
  try {
    return thrown instanceof type;
  } catch {
    return false;
  }
}

/** The name of an error, or the type of what is none: says what went wrong, and nothing with what. */
export function kindOf(thrown: unknown): string {
  return (isA(thrown, Error) && textIn(thrown, 'name', MAX_NAME)) || typeof thrown;
}
