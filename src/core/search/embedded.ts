/** What of a partition has its vectors, and what does not: kept with what is in the text index. */

/** More documents than these, one by one, are not worth remembering. */
const MOST_AGAIN = 256;

/** Of a log: the stretches before `upTo` have their vectors, but for those in `again`. */
export interface EmbeddedLog {
  upTo: number;
  again: number[];
}

/** Of memories, which are gone through page by page: where that is, or that it is done, and what was changed since. */
export interface EmbeddedMemories {
  after?: string;
  done?: true;
  again: string[];
}

/** Of one model. */
export interface Embedded {
  logs: Record<string, EmbeddedLog>;
  memories: EmbeddedMemories;
}

/** By model. */
export type EmbeddedByModel = Record<string, Embedded>;

export const nothingEmbedded: Embedded = { logs: {}, memories: { again: [] } };

/** After stretches of a log were indexed anew: what their vectors are of is no longer all. */
export function logChanged(
  models: EmbeddedByModel | undefined,
  log: string,
  stretches: readonly number[],
): EmbeddedByModel | undefined {
  return each(models, (embedded) => {
    const { upTo, again } = embedded.logs[log] ?? { upTo: 0, again: [] };
    return { ...embedded, logs: { ...embedded.logs, [log]: withAgain(upTo, [...again, ...stretches]) } };
  });
}

/** After memories were indexed anew. */
export function memoriesChanged(
  models: EmbeddedByModel | undefined,
  ids: readonly string[],
): EmbeddedByModel | undefined {
  return each(models, (embedded) => {
    const again = [...new Set([...embedded.memories.again, ...ids])];
    return {
      ...embedded,
      memories: again.length > MOST_AGAIN ? { again: [] } : { ...embedded.memories, again },
    };
  });
}

/** After stretches were given their vectors. */
export function logEmbedded({ upTo, again }: EmbeddedLog, stretches: readonly number[]): EmbeddedLog {
  const done = new Set(stretches);
  let end = upTo;
  for (const stretch of [...done].sort((a, b) => a - b)) if (stretch >= end) end = stretch + 1;
  return { upTo: end, again: again.filter((stretch) => !done.has(stretch)) };
}

/** The stretches of a log, from `first` to `last`, that lack vectors: in order. */
export function logLacks(log: EmbeddedLog | undefined, first: number, last: number): number[] {
  const { upTo, again } = log ?? { upTo: 0, again: [] };
  const lacking = again.filter((stretch) => stretch >= first && stretch <= last);
  for (let stretch = Math.max(upTo, first); stretch <= last; stretch++) lacking.push(stretch);
  return lacking;
}

/** The last stretch, which grows, is none to remember: everything from it on is to be done. */
function withAgain(upTo: number, changed: readonly number[]): EmbeddedLog {
  const again = new Set(changed.filter((stretch) => stretch < upTo));
  let end = upTo;
  while (again.delete(end - 1)) end--;
  if (again.size > MOST_AGAIN) return { upTo: Math.min(...again), again: [] };
  return { upTo: end, again: [...again].sort((a, b) => a - b) };
}

function each(
  models: EmbeddedByModel | undefined,
  change: (embedded: Embedded) => Embedded,
): EmbeddedByModel | undefined {
  if (!models) return undefined;
  return Object.fromEntries(Object.entries(models).map(([model, embedded]) => [model, change(embedded)]));
}
