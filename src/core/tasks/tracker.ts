import type { ContextUpdate } from './update.ts';

/** What a task last did with a file. */
export interface TrackedFile {
  operation: string;
  source: string;
  /** Epoch milliseconds. */
  timestamp: number;
  /** `deleted` after the operation `delete`. */
  state: 'active' | 'deleted';
}

export interface TrackedModel {
  modelId: string;
  providerId: string;
  mode: string;
  /** Epoch milliseconds. */
  timestamp: number;
}

/** So much is remembered; what was used longest ago is forgotten first. Sums of usage forget nothing. */
const MAX_FILES = 1000;
const MAX_MODELS = 200;

/** Which files and models a task has used: told by its updates, and kept when those are removed. */
export class Tracker {
  readonly #files = new Map<string, TrackedFile>();
  #models: TrackedModel[] = [];

  /** What several know, as one: of each file what was done last. */
  static merged(
    all: readonly { files: Readonly<Record<string, TrackedFile>>; models: readonly TrackedModel[] }[],
  ): Tracker {
    const byTime = (a: { timestamp: number }, b: { timestamp: number }) => a.timestamp - b.timestamp;
    const merged = new Tracker();
    const files = all.flatMap(({ files }) => Object.entries(files));
    for (const [path, file] of files.sort(([, a], [, b]) => byTime(a, b))) merged.#use(path, file);
    for (const model of all.flatMap(({ models }) => models).sort(byTime)) merged.#call(model);
    return merged;
  }

  get files(): Record<string, TrackedFile> {
    return Object.fromEntries([...this.#files].map(([path, file]) => [path, { ...file }]));
  }

  get models(): TrackedModel[] {
    return this.#models.map((model) => ({ ...model }));
  }

  /** Whether a model is the one that was used last, in the same mode. */
  isLast({ modelId, providerId, mode }: Omit<TrackedModel, 'timestamp'>): boolean {
    const last = this.#models.at(-1);
    return last?.modelId === modelId && last.providerId === providerId && last.mode === mode;
  }

  /** Takes over what was known before. */
  restore(files: Readonly<Record<string, TrackedFile>>, models: readonly TrackedModel[]): void {
    for (const [path, file] of Object.entries(files)) this.#files.set(path, { ...file });
    this.#models = models.map((model) => ({ ...model }));
  }

  /** Takes in what an update tells; one that tells of neither is let pass. */
  see({ updateType, data, metadata, timestamp }: ContextUpdate): void {
    if (typeof data !== 'object' || data === null || Array.isArray(data)) return;
    const { path, operation, modelId, providerId, mode } = data;
    if (updateType === 'file_operation' && typeof path === 'string' && typeof operation === 'string') {
      const source = typeof metadata.source === 'string' ? metadata.source : 'task';
      const state = operation === 'delete' ? 'deleted' : 'active';
      this.#use(path, { operation, source, timestamp, state });
    }
    if (
      updateType === 'model_usage' &&
      typeof modelId === 'string' &&
      typeof providerId === 'string' &&
      typeof mode === 'string'
    ) {
      this.#call({ modelId, providerId, mode, timestamp });
    }
  }

  #use(path: string, file: TrackedFile): void {
    // Order in the map is that of last use.
    this.#files.delete(path);
    this.#files.set(path, file);
    if (this.#files.size > MAX_FILES) this.#files.delete(this.#files.keys().next().value!);
  }

  #call(model: TrackedModel): void {
    if (!this.isLast(model)) this.#models.push(model);
    if (this.#models.length > MAX_MODELS) this.#models.shift();
  }
}
