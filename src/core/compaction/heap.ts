/** Gives out what comes first; putting in and taking out cost the logarithm of how much there is. */
export class Heap<T> {
  readonly #items: T[] = [];
  readonly #before: (one: T, other: T) => boolean;

  /** @param before whether the first of two comes out before the second */
  constructor(before: (one: T, other: T) => boolean) {
    this.#before = before;
  }

  /** What comes next; undefined: nothing is left. */
  get first(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    const items = this.#items;
    let place = items.length;
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (!this.#before(item, items[above]!)) break;
      items[place] = items[above]!;
      place = above;
    }
    items[place] = item;
  }

  pop(): T | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (items.length === 0 || last === undefined) return first;
    let place = 0;
    for (;;) {
      let below = 2 * place + 1;
      if (below >= items.length) break;
      if (below + 1 < items.length && this.#before(items[below + 1]!, items[below]!)) below++;
      if (!this.#before(items[below]!, last)) break;
      items[place] = items[below]!;
      place = below;
    }
    items[place] = last;
    return first;
  }
}
