import { decodeJson, type JsonObject, type JsonText } from '../json.ts';
import type { Content } from './records.ts';

/** What of a memory is searched. */
export interface MemoryText {
  content: string;
  tags: string[];
  importance: number;
  createdAt: number;
  metadata: JsonObject;
}

/** From the value of a record `memory`. One that is superseded is another record, and can't be found. */
export function memoryText(value: JsonText): MemoryText {
  const { content, tags, importance, createdAt, metadata } = decodeJson<Content>(value);
  return { content, tags, importance, createdAt, metadata };
}
