/** How much each sign counts. Measured on long conversations: see docs/decisions/0027. */
export interface Weights {
  /** BM25's saturation and the share of length normalisation. */
  k1: number;
  b: number;
  /** The exponent of idf. */
  idf: number;
  /** What a term counts in what goes with a turn (captions, calls), and in the turns around it. */
  extra: number;
  previous: number;
  /** The turn before, where it asks. */
  asked: number;
  beforePrevious: number;
  next: number;
  afterNext: number;
  /** A term that means about the same as the query's: `movie`, `film`. */
  synonym: number;
  /** One that shares its beginning: `educ`, `edu`. */
  related: number;
  /** A term that is a speaker's name. */
  name: number;
  /** A term that tells of an answer without being in it: `various`, `recently`. */
  vague: number;
  /** Spoken by the only speaker whom the query names. */
  speaker: number;
  /** Spoken by the first whom it names, where it names several. */
  firstSpeaker: number;
  /** A word of time, a relative one, where a time is asked for; a number where one is. */
  time: number;
  relative: number;
  number: number;
  /** The message is of the month, the month after it, the day, the week after it, the year asked for. */
  month: number;
  monthAfter: number;
  day: number;
  weekAfter: number;
  year: number;
  /** The message is of the time that the question names by its distance: yesterday, last week. */
  period: number;
  /** Spoken of oneself. */
  first: number;
  /** Taken off for a turn that only asks. */
  question: number;
  /** BM25 of the whole episode, and its constants. */
  episode: number;
  episodeK1: number;
  episodeB: number;
  /** For what is as important, as young as can be: of memories. */
  importance: number;
  recency: number;
  /** What the nearest in meaning gains at most: a share of the best score. */
  similarity: number;
}

export const defaultWeights: Readonly<Weights> = {
  k1: 0.9,
  b: 0.5,
  idf: 0.85,
  extra: 0.6,
  previous: 0,
  asked: 1,
  beforePrevious: 0.4,
  next: 0.35,
  afterNext: 0.15,
  synonym: 0.45,
  related: 0.5,
  name: 0.6,
  vague: 0.5,
  speaker: 4,
  firstSpeaker: 1,
  time: 1,
  relative: 2,
  number: 2,
  month: 4,
  monthAfter: 2,
  day: 4,
  weekAfter: 2,
  year: 1.2,
  period: 4,
  first: 0.3,
  question: 3,
  episode: 0.35,
  episodeK1: 1.2,
  episodeB: 0.75,
  importance: 1,
  recency: 0.3,
  similarity: 0.3,
};
