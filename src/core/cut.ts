/** The first characters of a text, `length` at most: one less where the last would be half of a surrogate pair. */
export function cut(text: string, length: number): string {
  const half = text.length > length && /[\ud800-\udbff]/.test(text.charAt(length - 1));
  return text.slice(0, half ? length - 1 : length);
}
