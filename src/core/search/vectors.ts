/** Vectors as the port passes them: numbers of 32 bits, little-endian, in base64. */

export function encodeVector(vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [i, number] of vector.entries()) bytes.writeFloatLE(number, i * 4);
  return bytes.toString('base64');
}

/** The cosine of the angle between a vector and one that is encoded; undefined where they can't be compared. */
export function cosineTo(asked: Float32Array): (values: string) => number | undefined {
  const length = Math.sqrt(asked.reduce((sum, number) => sum + number * number, 0));
  return (values) => {
    const bytes = Buffer.from(values, 'base64');
    if (bytes.length !== asked.length * 4) return undefined;
    const given = numbersIn(bytes);
    let dot = 0;
    let square = 0;
    for (let i = 0; i < asked.length; i++) {
      const number = given[i]!;
      dot += number * asked[i]!;
      square += number * number;
    }
    return length === 0 || square === 0 ? undefined : dot / (length * Math.sqrt(square));
  };
}

const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** The numbers as they lie there, where the machine reads them so; else copied. */
function numbersIn(bytes: Buffer): Float32Array {
  if (isLittleEndian && bytes.byteOffset % 4 === 0)
    return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
}
