import { expect, test } from 'vitest';
import { withMarkers } from '../../../src/core/compaction/marker.ts';
import { sentencesOf } from '../../../src/core/compaction/sentences.ts';
import type { Message } from '../../../src/index.ts';

const marked = (type: string, value: unknown) => {
  const content = [{ type: 'tool-result', toolCallId: 'c', toolName: 'f', output: { type, value } }];
  const message = { id: 'a', seq: 7, role: 'tool', content, createdAt: 0 } as Message;
  return withMarkers(message, [[0]]).content[0];
};

test('what a tool failed with stays an error as a marker, and no pair is cut in half', () => {
  const text = `x${'😀'.repeat(900)}`;
  expect(marked('error-text', text)).toMatchObject({ output: { type: 'error-text' } });
  expect(marked('error-json', { text })).toMatchObject({ output: { type: 'error-text' } });
  expect(marked('text', text)).toMatchObject({ output: { type: 'text' } });
  expect(JSON.stringify([marked('text', text), marked('text', `x${text}`)]).isWellFormed()).toBe(true);
  expect(JSON.stringify(marked('text', `x${text}`))).not.toMatch(/\\ud8/i);
  expect([...sentencesOf(text), ...sentencesOf(`x${text}`)].every((one) => one.isWellFormed())).toBe(true);
});
