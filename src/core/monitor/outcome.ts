import { outcomeOf } from './series.ts';

/** Tells how a call ended: `ok`, or the code of what went wrong. `error` is undefined where nothing was thrown. */
export type ReadOutcome = (error: unknown, result: unknown) => string;

/** Verbs that never throw: what went wrong is in their results. */
const TOLD_IN_RESULT: ReadonlySet<string> = new Set(['tools.execute', 'tools.chain']);

/** How the calls of a verb are to be read. */
export function outcomeReader(service: string, verb: string): ReadOutcome {
  return TOLD_IN_RESULT.has(`${service}.${verb}`) ? inResult : inError;
}

const inError: ReadOutcome = (error) => (error === undefined ? 'ok' : outcomeOf(error));

const inResult: ReadOutcome = (error, result) =>
  error === undefined ? ((result as { error?: { code: string } }).error?.code ?? 'ok') : outcomeOf(error);
