/**
 * A hash of 53 bits: two multiplicative hashes of the text's characters, put together. Names the locks of partitions:
 * all processes have to agree, so it is part of the schema.
 */
export function hash(text: string, seed: number): number {
  let high = 0x9e3779b1 ^ seed;
  let low = 0x85ebca6b ^ (seed / 2 ** 32);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    high = Math.imul(high ^ code, 0x27d4eb2f);
    low = Math.imul(low ^ code, 0x165667b1);
  }
  high = Math.imul(high ^ (high >>> 15), 0x2c1b3c6d) ^ (low >>> 13);
  low = Math.imul(low ^ (low >>> 16), 0x297a2d39) ^ (high >>> 14);
  return (high >>> 11) * 2 ** 32 + (low >>> 0);
}
