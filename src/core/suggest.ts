import { closest, distance } from 'fastest-levenshtein';

/** The known name that a mistyped one most likely means, or undefined when none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const lower = known.map((candidate) => candidate.toLowerCase());
  const match = closest(name.toLowerCase(), lower);
  const near = distance(name.toLowerCase(), match) <= Math.max(2, Math.floor(match.length / 3));
  return near ? known[lower.indexOf(match)] : undefined;
}
