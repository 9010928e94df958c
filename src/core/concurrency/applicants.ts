/** A job that waits for room. */
export interface Applicant {
  readonly priority: number;
  enter(): void;
}

/** Those who wait for room: the higher priority goes first, then who came first. */
export class Applicants {
  readonly #byPriority = new Map<number, Set<Applicant>>();
  /** Those that somebody has, the lowest first. */
  readonly #priorities: number[] = [];

  get first(): Applicant | undefined {
    const highest = this.#priorities.at(-1);
    if (highest === undefined) return undefined;
    const [applicant] = this.#byPriority.get(highest)!;
    return applicant;
  }

  add(applicant: Applicant): void {
    const { priority } = applicant;
    const equals = this.#byPriority.get(priority);
    if (equals) {
      equals.add(applicant);
      return;
    }
    this.#byPriority.set(priority, new Set([applicant]));
    this.#priorities.splice(this.#placeOf(priority), 0, priority);
  }

  delete(applicant: Applicant): void {
    const { priority } = applicant;
    const equals = this.#byPriority.get(priority);
    if (!equals?.delete(applicant) || equals.size > 0) return;
    this.#byPriority.delete(priority);
    this.#priorities.splice(this.#placeOf(priority), 1);
  }

  /** How many priorities are lower. */
  #placeOf(priority: number): number {
    let [low, high] = [0, this.#priorities.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#priorities[middle]! < priority) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
