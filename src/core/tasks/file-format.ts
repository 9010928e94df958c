/**
 * The file of a task: a line of its own for each thing, with a checksum before it. The first line says what the task is;
 * the others follow as things happen. A line that a crash has torn is found by its checksum, and costs only itself.
 */
import { crc32 } from 'node:zlib';
import type { Json, JsonObject } from '../json.ts';
import { sizeOf, type Tracked } from './history.ts';
import type { LoadedTask, Snapshot, Step, TaskEnd, TaskState } from './storage.ts';
import type { TrackedFile, TrackedModel } from './tracker.ts';
import { UsageSums } from './usage.ts';

interface HeadLine {
  v: 1;
  state: TaskState;
  end?: TaskEnd;
  durationMs: number;
  files: Record<string, TrackedFile>;
  models: TrackedModel[];
  usage: Record<string, number>;
  /** Who wrote this, and up to which of its steps `usage` counts. */
  w: string;
  n: number;
}

interface StepLine {
  /** Whose step, and the how manieth: one that was written again after a failure is told by that. */
  w: string;
  n: number;
  at?: number;
  type?: string;
  data?: Json;
  metadata?: JsonObject;
  usage?: Readonly<Record<string, number>>;
}

function line(value: HeadLine | StepLine): string {
  const text = JSON.stringify(value);
  return `${sumOf(text)} ${text}\n`;
}

function sumOf(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}

/** @param w who writes them: each context that is open has a name of its own */
export function stepLines(steps: readonly Step[], w: string): string {
  const lines = steps.map(({ n, tracked, usage }) =>
    line({ w, n, ...updateLine(tracked), ...(usage && { usage }) }),
  );
  return lines.join('');
}

function updateLine(tracked: Tracked | undefined): Omit<StepLine, 'n' | 'w'> {
  if (!tracked) return {};
  const { timestamp: at, updateType: type, data, metadata } = tracked.update;
  return { at, type, data, ...(Object.keys(metadata).length > 0 && { metadata }) };
}

/** A whole file. */
export function fileText(snapshot: Snapshot, w: string): string {
  const { state, end, durationMs, kept, files, models, usage, n } = snapshot;
  const head: HeadLine = { v: 1, state, ...(end && { end }), durationMs, files, models, usage, w, n };
  return line(head) + kept.map((tracked) => line({ w, n: tracked.n, ...updateLine(tracked) })).join('');
}

export interface ReadFile extends LoadedTask {
  /** Lines that are damaged. */
  damaged: number;
  /** The last line has no end. */
  torn: boolean;
}

/** What a file says; undefined for one whose first line can't be read. */
export function readFileText(text: string): ReadFile | undefined {
  const [first = '', ...lines] = text.split('\n');
  const head = checked<HeadLine>(first);
  if (head?.v !== 1) return undefined;
  // After the end of the last line comes nothing.
  const torn = lines.at(-1) !== '';
  if (!torn) lines.pop();
  const history: Tracked[] = [];
  const usage = new UsageSums();
  usage.add(head.usage);
  const last = new Map<string, number>();
  let damaged = 0;
  let told = 0;
  for (const text of lines) {
    const step = checked<StepLine>(text);
    if (!step) damaged++;
    if (!step || step.n <= (last.get(step.w) ?? 0)) continue;
    last.set(step.w, step.n);
    const isNew = step.w !== head.w || step.n > head.n;
    if (step.usage && isNew) usage.add(step.usage);
    const { at, type, data = null, metadata = {} } = step;
    if (at === undefined || type === undefined) continue;
    const update = { timestamp: at, updateType: type, data, metadata };
    history.push({ n: history.length + 1, update, size: sizeOf(data) });
    if (!isNew) told = history.length;
  }
  const { state, end, durationMs, files, models } = head;
  const n = history.length;
  return { state, end, durationMs, files, models, usage: usage.toJSON(), history, told, n, damaged, torn };
}

function checked<T>(text: string): T | undefined {
  const json = text.slice(9);
  if (json === '' || text.slice(0, 8) !== sumOf(json)) return undefined;
  return JSON.parse(json) as T;
}
