/** JSON text to values, with errors that say where the text is wrong and never quote it. */

/** What is wrong with a text. `offset` counts from 0; `cutOff` when the text is the beginning of good JSON. */
export interface JsonProblem {
  reason: string;
  offset?: number;
  cutOff: boolean;
}

export type ParsedJson = { value: unknown; problem?: undefined } | { problem: JsonProblem };

/** Above this length a wrong place that the parser does not tell is not searched for. */
const MAX_SEARCH_LENGTH = 64 * 1024 * 1024;

export function parseJson(text: string): ParsedJson {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return { problem: describe(text, error) };
  }
}

function describe(text: string, error: unknown): JsonProblem {
  const message = error instanceof Error ? error.message : '';
  if (message === 'Unexpected end of JSON input') return { reason: 'ends too early', cutOff: true };
  // Anchored at the end: the parser's other form of message quotes the text, which may look like this one.
  const told = / (?:in|after) JSON at position (\d+)(?: \(line \d+ column \d+\))?$/.exec(message);
  if (told) {
    const offset = Number(told[1]);
    const reason = message.slice(0, told.index).toLowerCase();
    return { reason, offset, cutOff: offset >= text.length };
  }
  const reason = 'unexpected character';
  return text.length > MAX_SEARCH_LENGTH
    ? { reason, cutOff: false }
    : { reason, offset: findUnexpected(text), cutOff: false };
}

/** Of an unexpected character the parser tells no place: it is where the text stops being a beginning of JSON. */
function findUnexpected(text: string): number {
  let good = 0;
  let bad = text.length;
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1;
    if (isBeginning(text.slice(0, middle))) good = middle;
    else bad = middle;
  }
  return good;
}

function isBeginning(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    const message = (error as Error).message;
    return message === 'Unexpected end of JSON input' || message.includes(` JSON at position ${text.length}`);
  }
}
