/** Asking a language model, whatever it is given as. */
import { z } from 'zod';
import { isA, kindOf } from './thrown.ts';
import { TookTooLong, timed } from './timed.ts';

export interface ModelRequest {
  /** Instructions. */
  system: string;
  /** What the model is to work on. */
  prompt: string;
  maxOutputTokens: number;
  signal: AbortSignal;
}

/** A language model of the AI SDK (`openai('gpt-5-mini')`, …), as far as it is used: any version of the specification. */
export interface ModelObject {
  readonly modelId: string;
  /** The options differ a little from version to version. */
  doGenerate(options: never): PromiseLike<{
    content: readonly { type: string }[];
    /** A text before version 3, and part of an object since then. */
    finishReason?: string | { unified: string };
  }>;
}

/** What answers a prompt with text: an AI SDK language model, or any function. */
export type ModelLike = ModelObject | ((request: ModelRequest) => Promise<string>);

export const modelSchema = z.custom<ModelLike>(
  (value) =>
    typeof value === 'function' ||
    typeof (value as { doGenerate?: unknown } | null)?.doGenerate === 'function',
  'expected a function, or a language model object of the AI SDK',
);

/** What came of a call. `cutOff`: the text ends where no more was allowed, not where the model was done. */
export type ModelAnswer = { text: string; cutOff?: boolean } | { problem: string };

/**
 * Asks once. What a model's error says may be content: its name alone is told.
 * @returns the text, or why there is none
 * @throws the signal's reason when that is aborted
 */
export async function callModel(
  model: ModelLike,
  request: ModelRequest,
  timeoutMs: number,
): Promise<ModelAnswer> {
  const ask = (signal: AbortSignal): PromiseLike<unknown> => {
    const given = { ...request, signal };
    return typeof model === 'function'
      ? Promise.resolve(model(given)).then((text) => ({ text }))
      : generate(model, given);
  };
  try {
    const answer = await timed(ask, { timeoutMs, signal: request.signal });
    return isAnswer(answer) ? answer : { problem: 'the model gave no text' };
  } catch (error) {
    request.signal.throwIfAborted();
    if (isA(error, TookTooLong)) return { problem: error.message };
    return { problem: `the model failed (${kindOf(error)})` };
  }
}

/** `doGenerate` of the AI SDK's provider specification: prompt and content are the same in its versions 2 to 4. */
async function generate(
  model: ModelObject,
  request: ModelRequest,
): Promise<{ text: string; cutOff: boolean }> {
  const { system, prompt, maxOutputTokens, signal } = request;
  const messages = [
    { role: 'system', content: system },
    { role: 'user', content: [{ type: 'text', text: prompt }] },
  ];
  const options = { prompt: messages, maxOutputTokens, abortSignal: signal };
  const { content, finishReason: finish } = await model.doGenerate(options as never);
  const texts = content.map((part) => ('text' in part && part.type === 'text' ? String(part.text) : ''));
  const reason = typeof finish === 'object' ? finish.unified : finish;
  return { text: texts.join(''), cutOff: reason === 'length' || reason === 'content-filter' };
}

function isAnswer(answer: unknown): answer is { text: string } {
  return typeof (answer as { text?: unknown } | null)?.text === 'string';
}
