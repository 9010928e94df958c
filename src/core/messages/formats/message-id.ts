import { idProblem } from '../../ids.ts';

const reserved = /^@\d+$/;

/**
 * The id of a message that was given none: `@` and its place in the log, `@12`. The form is reserved: such an id
 * given by a caller is rejected, so it always means the message at that place.
 */
export function messageId(seq: number): string {
  return `@${seq}`;
}

/** The place in the log that an id of {@link messageId} names; undefined for every other id. */
export function seqOfMessageId(id: string): number | undefined {
  if (!reserved.test(id)) return undefined;
  const seq = Number(id.slice(1));
  return Number.isSafeInteger(seq) && messageId(seq) === id ? seq : undefined;
}

/** What is wrong with an id that a caller gives to a message, or undefined. */
export function messageIdProblem(id: unknown): string | undefined {
  const problem = idProblem(id);
  if (problem) return problem;
  return reserved.test(id as string)
    ? 'must not be @ and a number: that form is reserved for messages without an id of their own'
    : undefined;
}
