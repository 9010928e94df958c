/** Pictures, sound and files: OpenAI's content parts and ours. */
import type { FilePart, ImagePart, Part } from '../../model/message.ts';
import type { OpenAiContentPart } from './openai-types.ts';
import { bytesOf, isPlainObject } from './values.ts';

type OpenAiMedia = Extract<OpenAiContentPart, { type: 'image_url' | 'input_audio' | 'file' }>;

/** OpenAI's `image_url`, `input_audio` or `file` part as ours. Data stays the text that it is: nothing is decoded. */
export function fromOpenAiMedia(part: OpenAiMedia): Part {
  if (part.type === 'image_url') {
    const { url, detail } = part.image_url;
    const options = detail === undefined ? {} : { providerOptions: { openai: { imageDetail: detail } } };
    return { type: 'image', image: url, ...options };
  }
  if (part.type === 'input_audio') {
    const { data, format } = part.input_audio;
    return { type: 'file', data, mediaType: format === 'mp3' ? 'audio/mpeg' : `audio/${format}` };
  }
  const { file_data, file_id, filename } = part.file;
  return {
    type: 'file',
    data: file_data ?? (file_id ? { openai: file_id } : ''),
    mediaType: mediaTypeOfDataUrl(file_data ?? '') ?? 'application/pdf',
    ...(typeof filename === 'string' && { filename }),
  };
}

/** Our image or file part as OpenAI's. */
export function toOpenAiMedia(part: ImagePart | FilePart): OpenAiContentPart {
  const { type, mediaType } = part;
  const data = dataOf(type === 'image' ? part.image : part.data);
  if (data.reference !== undefined) return { type: 'file', file: { file_id: data.reference } };
  const base64 = data.base64 ?? '';
  if (type === 'image' || mediaType?.startsWith('image/')) {
    const known = mediaType && mediaType !== 'image/*' ? mediaType : imageTypeOf(base64);
    const detail = (part.providerOptions?.openai as { imageDetail?: 'auto' | 'low' | 'high' } | undefined)
      ?.imageDetail;
    const url = data.url ?? `data:${known};base64,${base64}`;
    return { type: 'image_url', image_url: { url, ...(detail !== undefined && { detail }) } };
  }
  if (data.text !== undefined) return { type: 'text', text: data.text };
  if (mediaType?.startsWith('audio/') && data.base64 !== undefined) {
    const format = mediaType === 'audio/mpeg' ? 'mp3' : mediaType.slice('audio/'.length);
    return { type: 'input_audio', input_audio: { data: base64, format: format as 'mp3' | 'wav' } };
  }
  const { filename } = part as FilePart;
  const file_data = data.url ?? `data:${mediaType};base64,${base64}`;
  return { type: 'file', file: { file_data, ...(filename !== undefined && { filename }) } };
}

/** What a person reads in place of a file where a format has no room for it. */
export function mediaMarker(part: { mediaType?: unknown; filename?: unknown; type: string }): string {
  const facts = [part.filename, part.mediaType].filter((fact) => typeof fact === 'string');
  return `[${[part.type, ...facts].join(' ')}]`;
}

interface FileContent {
  url?: string;
  base64?: string;
  text?: string;
  /** OpenAI's id of an uploaded file. */
  reference?: string;
}

/** The AI SDK says data in many ways: text that is a URL or base64, URLs, bytes, tagged objects, references. */
function dataOf(data: unknown): FileContent {
  if (typeof data === 'string') return /^(https?|data):/i.test(data) ? { url: data } : { base64: data };
  if (data instanceof URL) return { url: data.href };
  const bytes = bytesOf(data);
  if (bytes) return { base64: Buffer.from(bytes).toString('base64') };
  if (!isPlainObject(data)) return {};
  if (data.type === 'data' || data.type === 'url') return dataOf(data[data.type]);
  if (data.type === 'text' && typeof data.text === 'string') return { text: data.text };
  const references = data.type === 'reference' && isPlainObject(data.reference) ? data.reference : data;
  return typeof references.openai === 'string' ? { reference: references.openai } : {};
}

function mediaTypeOfDataUrl(url: string): string | undefined {
  return /^data:([^;,]+)[;,]/.exec(url.slice(0, 200))?.[1];
}

/** The first bytes of a picture tell its type; JPEG where they don't. */
function imageTypeOf(base64: string): string {
  const beginnings = { iVBORw: 'image/png', R0lGOD: 'image/gif', UklGR: 'image/webp' };
  const found = Object.entries(beginnings).find(([beginning]) => base64.startsWith(beginning));
  return found?.[1] ?? 'image/jpeg';
}
