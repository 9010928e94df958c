import { HoldfastError } from '../../core/errors.ts';

/** As much as the SDK takes from a child (bytes). */
const MAX_MESSAGE_BYTES = 10 * 1024 * 1024;
/** What ends an event of a stream. */
const ENDS = ['\n\n', '\r\n\r\n', '\r\r'];

/** `fetch`, but no message of a server is larger than that: one without end would fill the memory. */
export async function boundedFetch(url: string | URL, init?: RequestInit): Promise<Response> {
  const response = await fetch(url, init);
  if (!response.body) return response;
  const isStream = response.headers.get('content-type')?.includes('text/event-stream') ?? false;
  return new Response(response.body.pipeThrough(bound(isStream)), response);
}

/** @param isStream where each event counts for itself, since there may be any number of them */
function bound(isStream: boolean): TransformStream<Uint8Array, Uint8Array> {
  let bytes = 0;
  return new TransformStream({
    transform(chunk, controller) {
      const text = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      const end = isStream ? Math.max(...ENDS.map((mark) => text.lastIndexOf(mark))) : -1;
      bytes = end === -1 ? bytes + text.length : text.length - end;
      if (bytes <= MAX_MESSAGE_BYTES) controller.enqueue(chunk);
      else
        controller.error(new HoldfastError('tool-failed', "the MCP server's answer is larger than 10 MiB"));
    },
  });
}
