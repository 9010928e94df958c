interface Place {
  inside: number;
  /** While somebody is alone in there, or wants to be: who came later, in order. */
  waiting: (() => void)[] | undefined;
  /** Told when the last one has left. */
  empty: () => void;
}

/** For each key: many at once, or one alone. */
export class Gates {
  readonly #places = new Map<string, Place>();

  /** Runs a task among others; at once, unless somebody is alone in there. Tasks that have to wait start in order. */
  run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const place = this.#places.get(key);
    if (!place?.waiting) return this.#enter(key, task);
    const { waiting } = place;
    return new Promise((resolve) => {
      waiting.push(() => resolve(this.#enter(key, task)));
    });
  }

  /** Runs a task when nobody else is in there; others wait. To be called once at a time for a key. */
  async alone<T>(key: string, task: () => Promise<T>): Promise<T> {
    const place = this.#place(key);
    place.waiting = [];
    try {
      while (place.inside > 0) {
        await new Promise<void>((resolve) => {
          place.empty = resolve;
        });
      }
      return await task();
    } finally {
      const { waiting } = place;
      place.waiting = undefined;
      for (const start of waiting) start();
      this.#tidy(key, place);
    }
  }

  #enter<T>(key: string, task: () => Promise<T>): Promise<T> {
    const place = this.#place(key);
    place.inside++;
    const leave = () => {
      place.inside--;
      if (place.inside === 0) place.empty();
      this.#tidy(key, place);
    };
    const result = task();
    result.then(leave, leave);
    return result;
  }

  #place(key: string): Place {
    const place = this.#places.get(key) ?? { inside: 0, waiting: undefined, empty: () => {} };
    this.#places.set(key, place);
    return place;
  }

  #tidy(key: string, place: Place): void {
    if (place.inside === 0 && !place.waiting) this.#places.delete(key);
  }
}
