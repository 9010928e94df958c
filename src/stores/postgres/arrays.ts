/**
 * Arrays as Postgres's binary protocol has them. The driver sends buffers as they are: no value is quoted on the way
 * out or parsed on the way in, and there is no character that an element can't hold.
 */

const TEXT = 25;
const BOOL = 16;
const INT4 = 23;
const INT8 = 20;
const FLOAT8 = 701;
const HEADER_BYTES = 20;
const NULL_LENGTH = -1;

type Texts = readonly (string | null)[];
type Numbers = readonly (number | null)[];

export function textArray(values: Texts): Buffer {
  let size = HEADER_BYTES;
  for (const value of values) size += 4 + (value === null ? 0 : Buffer.byteLength(value));
  const buffer = Buffer.allocUnsafe(size);
  let at = writeHeader(buffer, TEXT, values.length);
  for (const value of values) {
    const length = value === null ? NULL_LENGTH : buffer.write(value, at + 4);
    buffer.writeInt32BE(length, at);
    at += 4 + Math.max(length, 0);
  }
  return buffer.subarray(0, at);
}

export function intArray(values: Numbers): Buffer {
  return fixedArray(INT4, 4, values, (buffer, value, at) => buffer.writeInt32BE(value, at));
}

export function bigintArray(values: Numbers): Buffer {
  return fixedArray(INT8, 8, values, writeBigint);
}

export function doubleArray(values: Numbers): Buffer {
  return fixedArray(FLOAT8, 8, values, (buffer, value, at) => buffer.writeDoubleBE(value, at));
}

export function booleanArray(values: readonly boolean[]): Buffer {
  return fixedArray(BOOL, 1, values.map(Number), (buffer, value, at) => buffer.writeUInt8(value, at));
}

function fixedArray(
  type: number,
  width: number,
  values: Numbers,
  write: (buffer: Buffer, value: number, at: number) => unknown,
): Buffer {
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + values.length * (4 + width));
  let at = writeHeader(buffer, type, values.length);
  for (const value of values) {
    buffer.writeInt32BE(value === null ? NULL_LENGTH : width, at);
    at += 4;
    if (value === null) continue;
    write(buffer, value, at);
    at += width;
  }
  return buffer.subarray(0, at);
}

/** Dimensions, whether there are nulls (the server looks for itself), type; then the one dimension's length and start. */
function writeHeader(buffer: Buffer, type: number, length: number): number {
  buffer.writeInt32BE(length === 0 ? 0 : 1, 0);
  buffer.writeInt32BE(1, 4);
  buffer.writeInt32BE(type, 8);
  if (length === 0) return 12;
  buffer.writeInt32BE(length, 12);
  buffer.writeInt32BE(1, 16);
  return HEADER_BYTES;
}

/** A whole number of at most 53 bits. */
function writeBigint(buffer: Buffer, value: number, at: number): void {
  const high = Math.floor(value / 2 ** 32);
  buffer.writeInt32BE(high, at);
  buffer.writeUInt32BE(value - high * 2 ** 32, at + 4);
}
