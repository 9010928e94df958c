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
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let dot = 0;
    let square = 0;
    for (let i = 0; i < asked.length; i++) {
      const number = view.getFloat32(i * 4, true);
      dot += number * asked[i]!;
      square += number * number;
    }
    return length === 0 || square === 0 ? undefined : dot / (length * Math.sqrt(square));
  };
}
