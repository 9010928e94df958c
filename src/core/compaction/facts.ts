/** What in a sentence must not be said in other words: names, numbers, places in files, what the user demands. */

/** Each kind of fact with what it is worth. */
const kinds: readonly [pattern: RegExp, worth: number][] = [
  // What the user wants to hold from now on.
  [
    /\b(?:must(?: not|n['’]t)?|never|do(?:n['’]t| not) (?!know|think|worry|mind)\w+|prefer(?:s|red)?|require[sd]?|at (?:most|least)|no more than|budget|deadline|make sure)\b/i,
    1.5,
  ],
  [/\b(?:always|only|instead of|remember)\b/i, 0.4],
  [/\b(?:error|exception|fail(?:s|ed|ure|ing)?|crash(?:ed|es)?|timed? ?out|bug|refused|denied)\b/i, 1],
  // What somebody did, or is.
  [
    /\b(?:I|we|he|she|they)(?:['’](?:ve|d|m|re))? (?:just |recently |also |finally |already )?(?:\w+ed|went|got|had|made|took|found|bought|saw|met|began|won|lost|left|gave|told|wrote|read|ran|did|was|were|came|been|am|have)\b/i,
    0.5,
  ],
  [
    /\b(?:decided?|agreed|chose|chosen|will|going to|plan(?:s|ned|ning)?|changed|fixed|resolved|done)\b/i,
    0.4,
  ],
  [/https?:\/\/\S+|\bwww\.\S+/, 1.5],
  [/(?:^|\s)(?:~|\.{1,2})?\/[\w.-]+(?:\/[\w.-]+)+|\b[\w-]+\/[\w./-]+\.\w{1,5}\b|\b[A-Z]:\\\S+/, 1.5],
  [/\b[\w.+-]+@[\w-]+\.[\w.]+\b/, 1.5],
  [
    /`[^`]+`|\b\w+\(\)|\b[a-z]+(?:[A-Z][a-z0-9]+)+\b|\b[a-zA-Z]+_[a-zA-Z_0-9]+\b|\b[A-Z][A-Z0-9]*[-_][A-Z0-9_-]+\b/,
    1.2,
  ],
  [/\b[a-z]*\d+[a-z]+[\w-]*\b|\b[A-Za-z]+-?\d[\w-]*\b/, 0.8],
  [
    /[$€£¥]\s?\d|\b\d[\d,.]*\s?(?:%|usd|eur|dollars?|euros?|k|kg|km|miles?|hours?|days?|weeks?|months?|years?)\b/i,
    1,
  ],
  [/\b\d[\d,.:/-]*\b/, 0.8],
  [
    /\b(?:yesterday|today|tonight|tomorrow|(?:last|next|this|past) (?:night|week(?:end)?|month|year|spring|summer|fall|autumn|winter|\w+day)|\w+ (?:days?|weeks?|months?|years?) ago|january|february|march|april|june|july|august|september|october|november|december|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b/i,
    1,
  ],
  [/["“][^"”]{2,80}["”]/, 0.8],
];
/** A name: a capital where none has to be. */
const name = /(?<=[\p{L}\p{N},;:)'’"] )\p{Lu}[\p{L}\p{N}'’-]*/gu;
const notNames = /^(?:I|I['’].*|OK|Ok)$/;
const NAME_WORTH = 0.5;
const MOST_NAMES = 3;

/** How much of a sentence must be kept as it was said; 0 for nothing. */
export function factsIn(sentence: string): number {
  const names = [...sentence.matchAll(name)].filter(([found]) => !notNames.test(found)).length;
  const worth = Math.min(names, MOST_NAMES) * NAME_WORTH;
  return kinds.reduce((sum, [pattern, value]) => (pattern.test(sentence) ? sum + value : sum), worth);
}

const smallTalk =
  /^(?:hey|hi|hello|bye|goodbye|see you|take care|thanks?|thank you|you['’]re welcome|no problem|wow|cool|awesome|amazing|great|nice|sounds (?:good|great|like)|that['’]s (?:great|awesome|amazing|so|really|good|cool|wonderful|fantastic)|congrat\w*|good (?:luck|morning|night|to)|glad|happy to|sure|ok(?:ay)?|yes|yeah|yep|yup|no|absolutely|definitely|of course|totally|i agree|i see|got it|sorry|oh|haha|lol|how are|how have|what['’]s up|keep (?:it )?up|let me know|looking forward|anytime|same here|me too|exactly|right)\b/i;

/** Whether a sentence begins as those do that carry nothing. */
export function isSmallTalk(sentence: string): boolean {
  return smallTalk.test(sentence);
}

/** Names, numbers, paths, links and code of a text, as they stand in it: what a summary must not lose. */
export function identifiersIn(text: string): string[] {
  const found = text.match(identifiers) ?? [];
  return [...new Set(found.map((one) => one.trim().replace(trailing, '')))].filter(Boolean);
}

const trailing = /(?<![.,;:!?)\]])[.,;:!?)\]]+$/;
/** Each piece has a longest length: a text without an end to it must not be gone through again from each of its words. */
const identifiers =
  /https?:\/\/[^\s<>"'`)\]]{1,1000}|(?<![\w/])(?:~|\.{1,2})?\/[\w.-]{1,200}(?:\/[\w.-]{1,200}){1,30}|\b[\w-]{1,80}\/[\w./-]{1,200}\.\w{1,5}\b|\b[\w.+-]{1,80}@[\w-]{1,80}\.[\w.]{1,80}\b|\b[A-Z][A-Z0-9]{0,40}[-_][A-Z0-9_-]{0,40}[A-Z0-9]\b|\b(?=[A-Za-z_]{0,40}\d)(?=[\d_]{0,40}[a-zA-Z])[\w-]{5,200}\b|[$€£]\s?\d[\d,.]{0,40}/g;
