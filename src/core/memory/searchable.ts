import { decodeJson, type JsonText } from '../json.ts';

/** What of a memory can be searched. */
export interface SearchableMemory {
  content: string;
  tags: string[];
  importance: number;
  createdAt: number;
}

/** Reads a memory's record for the full-text index. @returns undefined for one that is not to be found */
export function memoryText(value: JsonText): SearchableMemory | undefined {
  const { content, tags, importance, createdAt, supersededBy } = decodeJson<
    SearchableMemory & { supersededBy?: string }
  >(value);
  return supersededBy === undefined ? { content, tags, importance, createdAt } : undefined;
}
