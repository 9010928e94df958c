import { expect, test } from 'vitest';
import { LogData } from '../../src/stores/memory/log-data.ts';

function filled(): LogData {
  const log = new LogData();
  for (let seq = 1; seq <= 20; seq++) {
    log.append({ seq, value: `${seq}`, version: 1, id: `id${seq}`, ...(seq % 5 === 0 && { mark: 'five' }) });
  }
  return log;
}
const seqs = (log: LogData, range: Parameters<LogData['read']>[0]) =>
  log.read(range).entries.map(({ seq }) => seq);

test('a page is taken from the end that is asked for', () => {
  expect(seqs(filled(), { after: 3, before: 9, limit: 2 })).toEqual([4, 5]);
  expect(seqs(filled(), { after: 3, before: 9, limit: 2, reverse: true })).toEqual([8, 7]);
  expect(seqs(filled(), { after: 9, before: 3, limit: 2, reverse: true })).toEqual([]);
  expect(seqs(filled(), { limit: 0, reverse: true })).toEqual([]);
});

test('ids are given in the order of the log, once each, within the bounds', () => {
  const ids = ['id9', 'id2', 'id9', 'nobody', 'id5'];
  expect(seqs(filled(), { ids, limit: 10 })).toEqual([2, 5, 9]);
  expect(seqs(filled(), { ids, limit: 1, reverse: true })).toEqual([9]);
  expect(seqs(filled(), { ids, after: 2, mark: 'five', limit: 10 })).toEqual([5]);
});

test('marks are right after rewrites and truncations', () => {
  const log = filled();
  log.replace({ seq: 7, value: 'new', version: 2, id: 'id7', mark: 'five' });
  log.replace({ seq: 15, value: 'new', version: 2, id: 'id15' });
  expect(seqs(log, { mark: 'five', limit: 10 })).toEqual([5, 7, 10, 20]);
  expect(seqs(log, { mark: 'five', limit: 2, reverse: true, before: 20 })).toEqual([10, 7]);
  expect(log.truncate(6, 12)).toBe(13);
  expect(seqs(log, { mark: 'five', limit: 10 })).toEqual([7, 10]);
  expect(seqs(log, { mark: 'other', limit: 10 })).toEqual([]);
});
