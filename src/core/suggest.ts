import { closest, distance } from 'fastest-levenshtein';

/** The known name that a mistyped one most likely means, or undefined when none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const match = closest(name, [...known]);
  return distance(name.toLowerCase(), match.toLowerCase()) <= Math.max(2, Math.floor(match.length / 3))
    ? match
    : undefined;
}
