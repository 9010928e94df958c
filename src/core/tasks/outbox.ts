import { newId } from '../ids.ts';
import type { Tracked } from './history.ts';
import type { Snapshot, Step, StepGroup, TaskStorage } from './storage.ts';

/** So many steps go out together at most. */
const MAX_STEPS = 1000;
/** A group with so many characters takes no more. */
const MAX_CHARACTERS = 1024 * 1024;
/** So many removals are saved by themselves; fewer wait for the next save. */
const SAVE_AFTER = 1000;

interface Group extends StepGroup {
  readonly steps: Step[];
  size: number;
  sent: boolean;
  readonly done: PromiseWithResolvers<void>;
}

/**
 * Brings a context's changes to its storage: what happens in one turn goes out together, in order. What can't be written
 * is kept and tried again, before anything later, with the next change or save.
 */
export class Outbox {
  readonly #storage: TaskStorage;
  readonly #snapshot: (removed: readonly Tracked[]) => Snapshot;
  #groups: Group[] = [];
  #removed: Tracked[] = [];
  #savedText = '';
  #saveAsked = false;
  #working: Promise<void> | undefined;
  #failure: { error: unknown } | undefined;

  constructor(storage: TaskStorage, snapshot: (removed: readonly Tracked[]) => Snapshot) {
    this.#storage = storage;
    this.#snapshot = snapshot;
  }

  /** Steps that are not durable yet. */
  get pending(): number {
    return this.#groups.reduce((sum, { steps }) => sum + steps.length, 0);
  }

  /** What the last attempt has failed with. */
  get failure(): unknown {
    return this.#failure?.error;
  }

  /**
   * @param size characters of its data and metadata
   * @returns when the step is durable; a failure that nobody awaits is told by {@link save}
   */
  add(step: Step, size = 0): Promise<void> {
    let group = this.#groups.at(-1);
    if (!group || group.sent || group.steps.length >= MAX_STEPS || group.size >= MAX_CHARACTERS) {
      group = { id: newId(), steps: [], size: 0, sent: false, done: Promise.withResolvers() };
      group.done.promise.catch(() => undefined);
      this.#groups.push(group);
    }
    group.steps.push(step);
    group.size += size;
    this.#work();
    return group.done.promise;
  }

  /** An update is no longer in the history. */
  remove(tracked: Tracked): void {
    this.#removed.push(tracked);
    if (this.#removed.length < SAVE_AFTER) return;
    this.#saveAsked = true;
    this.#work();
  }

  /** What is to be taken for saved: a context that was only read need not be written. */
  markSaved(): void {
    this.#savedText = textOf(this.#snapshot([]));
  }

  /** Makes everything durable. @throws what keeps it from being so */
  async save(): Promise<void> {
    // What is under way may fail for a reason that is gone by now.
    await this.#working;
    this.#saveAsked = true;
    await this.#work();
    if (this.#failure) throw this.#failure.error;
  }

  /** The same at once. @returns false where that is not possible, and something is left to write */
  saveSync(): boolean {
    if (this.#groups.length === 0 && !this.#unsaved()) return true;
    if (!this.#storage.saveSync) return false;
    const groups = this.#groups;
    this.#storage.saveSync(this.#snapshot(this.#removed));
    this.markSaved();
    this.#removed = [];
    this.#groups = this.#groups.filter((group) => !groups.includes(group));
    this.#failure = undefined;
    for (const group of groups) group.done.resolve();
    return true;
  }

  #unsaved(): boolean {
    return this.#removed.length > 0 || textOf(this.#snapshot([])) !== this.#savedText;
  }

  #work(): Promise<void> {
    // In the next microtask: what is added in this turn goes out together.
    this.#working ??= Promise.resolve().then(() => this.#writeAll());
    return this.#working;
  }

  async #writeAll(): Promise<void> {
    this.#failure = undefined;
    try {
      for (;;) {
        const group = this.#groups[0];
        if (group) await this.#append(group);
        else if (this.#saveAsked) await this.#save();
        else break;
      }
    } catch (error) {
      this.#failure = { error };
      // Those behind it wait for it: whoever awaits them is told as well.
      for (const group of this.#groups) {
        group.sent = true;
        group.done.reject(error);
      }
    }
    // In the same turn as the last look: what is added from now on begins anew.
    this.#working = undefined;
  }

  async #append(group: Group): Promise<void> {
    group.sent = true;
    await this.#storage.append(group, () => this.#snapshot([]));
    // It may have been saved otherwise meanwhile.
    if (this.#groups[0] === group) this.#groups.shift();
    group.done.resolve();
  }

  async #save(): Promise<void> {
    this.#saveAsked = false;
    if (!this.#unsaved()) return;
    const removed = this.#removed;
    const snapshot = this.#snapshot(removed);
    this.#removed = [];
    try {
      await this.#storage.save(snapshot);
      this.#savedText = textOf(snapshot);
    } catch (error) {
      this.#removed = [...removed, ...this.#removed];
      throw error;
    }
  }
}

/** What of a context changes without a step. */
function textOf({ state, end }: Snapshot): string {
  return JSON.stringify([state, end]);
}
