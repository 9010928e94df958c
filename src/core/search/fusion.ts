/** What nearness in meaning adds to what words say. */

/** Whether vectors and words agree is judged by so many turns that have the most of the question's words. */
const JUDGES = 5;
/** How near these are on average, in standard deviations: from where on vectors count, and from where on in full. */
const TRUST_FROM = 0.5;
const TRUST_FULL = 1.5;
/** How much nearer than usual a turn must be to be worth something, and to be worth the most, in the same measure. */
const NEAR_FROM = 1;
const NEAR_FULL = 4;
/** A turn that is lifted stays below so much of the best score: what words found without doubt stays where it is. */
const CEILING = 0.5;
/** What the nearest is worth where no words match, and what only just stands out from the others. */
const ALONE = 4;
const ALONE_LEAST = 1;
/** Where no words match, what is worth so much stands out clearly: chance does not bring it there. */
export const CLEARLY_NEAR = 3;
/** Of few turns none can lie far from the mean: of `n` at most √(n − 1). These shares of that count as standing out. */
const FEW_FROM = 0.6;
const FEW_FULL = 0.75;

export interface Fusion {
  /** What a turn's score is by words and signs. */
  readonly scores: Float64Array;
  /** Whether it has something of the question in it, or around it. */
  readonly matches: (row: number) => boolean;
  /** The cosine of its vector and the question's; NaN where there is none. */
  readonly cosines: Float64Array;
  /** How much the nearest turn gains at most, as a share of the best score. */
  readonly share: number;
}

/**
 * What the score of each turn gains by its vector. Models differ in how near unlike texts are to each other: a cosine
 * counts by how far it lies from that of the others, in standard deviations. How much is gained is measured by the best
 * score of the words, and by how near the turns are that these found: vectors that are far from what words say without doubt say
 * nothing, and must not do harm. Where no words match, what stands out counts, and nothing else: something is always the
 * nearest.
 */
export function gainsOf({ scores, matches, cosines, share }: Fusion): Float64Array {
  const deviations = deviationsOf(cosines);
  const best = bestRows(scores, (row) => matches(row) && scores[row]! > 0);
  if (best.length === 0) return gainsAlone(deviations);
  const top = scores[best[0]!]!;
  const most = trustIn(best.map((row) => deviations[row]!)) * share * top;
  return deviations.map((deviation, row) => {
    const gain = most * (ramp(deviation, NEAR_FROM, NEAR_FULL) || 0);
    return Math.max(0, Math.min(gain, CEILING * top - scores[row]!));
  });
}

/** Where vectors alone decide. */
function gainsAlone(deviations: Float64Array): Float64Array {
  const known = deviations.filter((deviation) => !Number.isNaN(deviation)).length;
  const most = Math.sqrt(Math.max(0, known - 1));
  const from = Math.min(NEAR_FROM, FEW_FROM * most);
  const full = Math.min(NEAR_FULL, FEW_FULL * most);
  return deviations.map((deviation) =>
    deviation >= from ? ALONE_LEAST + (ALONE - ALONE_LEAST) * (ramp(deviation, from, full) || 0) : 0,
  );
}

/** By how many standard deviations each one lies above the mean; NaN for what is not known. */
function deviationsOf(cosines: Float64Array): Float64Array {
  const known = cosines.filter((cosine) => !Number.isNaN(cosine));
  const mean = known.reduce((sum, cosine) => sum + cosine, 0) / Math.max(1, known.length);
  const variance = known.reduce((sum, cosine) => sum + (cosine - mean) ** 2, 0) / Math.max(1, known.length);
  // Where all are alike, rounding must not tell them apart.
  const deviation = variance < 1e-12 ? Number.POSITIVE_INFINITY : Math.sqrt(variance);
  return cosines.map((cosine) => (cosine - mean) / deviation);
}

function trustIn(deviations: readonly number[]): number {
  const known = deviations.filter((deviation) => !Number.isNaN(deviation));
  const mean = known.reduce((sum, deviation) => sum + deviation, 0) / Math.max(1, known.length);
  return ramp(mean, TRUST_FROM, TRUST_FULL);
}

function ramp(value: number, from: number, full: number): number {
  return Math.min(1, Math.max(0, (value - from) / (full - from)));
}

/** The best of those that match, best first; of equals the later one. */
function bestRows(scores: Float64Array, matches: (row: number) => boolean): number[] {
  const best: number[] = [];
  for (let row = 0; row < scores.length; row++) {
    if (!matches(row)) continue;
    const place = best.findIndex((other) => scores[other]! <= scores[row]!);
    if (place >= 0) best.splice(place, 0, row);
    else best.push(row);
    if (best.length > JUDGES) best.pop();
  }
  return best;
}
