/** What a window says before anything is recalled into it: that is not said again. */
import { sentencesOf } from '../compaction/sentences.ts';
import { textOf } from '../messages/formats/text.ts';
import type { Selection } from './select.ts';

export class Told {
  /** The messages that it holds. */
  readonly seqs: ReadonlySet<number>;
  readonly #selection: Selection;
  #texts: Set<string> | undefined;
  #summary: string | undefined;

  constructor(selection: Selection) {
    this.#selection = selection;
    this.seqs = new Set(messagesOf(selection).map(({ seq }) => seq));
  }

  /** Whether a message of it says just that, or its summary every sentence of that, word for word. */
  says(text: string): boolean {
    this.#texts ??= new Set(messagesOf(this.#selection).map((message) => plain(textOf(message))));
    const said = plain(text);
    if (this.#texts.has(said)) return true;
    this.#summary ??= this.#selection.summary.map(({ message }) => plain(textOf(message))).join('');
    const summary = this.#summary;
    if (said.length > summary.length) return false;
    const sentences = sentencesOf(text).map(plain);
    // A long sentence is cut in a summary: it is not said there.
    return sentences.length > 0 && sentences.every((one) => said.includes(one) && summary.includes(one));
  }
}

function messagesOf({ system, pinned, turns }: Selection) {
  return [system, pinned, turns].flatMap((part) => part.map(({ message }) => message));
}

/** With one space between words, and around them: so a text is found in another as whole words only. */
function plain(text: string): string {
  return ` ${text.split(/\s+/).filter(Boolean).join(' ')} `;
}
