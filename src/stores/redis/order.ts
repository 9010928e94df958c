/*
 * Orders of an index as text: 16 hex digits whose byte order is the order of the numbers. The bits of a double sort like
 * a whole number, but for the sign: positive ones get their sign bit set, negative ones all bits turned.
 */

const bits = new DataView(new ArrayBuffer(8));

export function encodeOrder(order: number): string {
  // -0 is 0.
  bits.setFloat64(0, order + 0);
  const high = bits.getUint32(0);
  const low = bits.getUint32(4);
  return high < 0x80000000 ? hex(high + 0x80000000) + hex(low) : hex(~high >>> 0) + hex(~low >>> 0);
}

export function decodeOrder(text: string): number {
  const high = Number.parseInt(text.slice(0, 8), 16);
  const low = Number.parseInt(text.slice(8), 16);
  bits.setUint32(0, high >= 0x80000000 ? high - 0x80000000 : ~high >>> 0);
  bits.setUint32(4, high >= 0x80000000 ? low : ~low >>> 0);
  return bits.getFloat64(0);
}

function hex(number: number): string {
  return number.toString(16).padStart(8, '0');
}
