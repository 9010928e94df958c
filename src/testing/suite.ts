import type { Store, StoreFeatures } from '../core/store.ts';

/** What the suite needs of a test runner: vitest's, node:test's and jest's `describe` and `it` have it. */
export interface TestRunner {
  describe(name: string, body: () => void): unknown;
  it: It & { skip?: It };
}

type It = (name: string, body: () => Promise<void>) => unknown;

/** How the suite gets stores. `L` is whatever says where a store is: a folder, a URL, a key prefix. */
export interface ConformanceOptions<L> {
  /** The store's name, for titles. */
  readonly name: string;
  /** What the store says of itself; tests of what it can't do are skipped. */
  readonly features: StoreFeatures;
  /** Makes a place where no store has been yet. Each test has its own. */
  createLocation(): Promise<L> | L;
  /**
   * Opens the store of a place. A persistent one is closed and opened again at the same place; a shared one is opened
   * twice at once.
   */
  open(location: L): Promise<Store>;
  /** Clears a place away; all its stores are closed by then. */
  removeLocation?(location: L): Promise<void> | void;
}

/** What a test works with. All stores are closed when it ends. */
export interface Place {
  /** The first store of an empty place. */
  readonly store: Store;
  /** Opens another one at the same place: a second at once, or the next after the first was closed. */
  open(): Promise<Store>;
}

/** Defines a test; `needs` is a feature without which it is skipped. */
export type Test = (name: string, body: (place: Place) => Promise<void>, needs?: keyof StoreFeatures) => void;

export function createTest<L>(runner: TestRunner, options: ConformanceOptions<L>): Test {
  return (name, body, needs) => {
    const run = () => runAt(options, body);
    if (needs === undefined || options.features[needs]) {
      runner.it(name, run);
      return;
    }
    const title = `${name} (skipped: the store is not ${needs})`;
    if (runner.it.skip) runner.it.skip(title, run);
    else runner.it(title, async () => {});
  };
}

async function runAt<L>(
  options: ConformanceOptions<L>,
  body: (place: Place) => Promise<void>,
): Promise<void> {
  const location = await options.createLocation();
  const stores: Store[] = [];
  const open = async () => {
    const store = await options.open(location);
    stores.push(store);
    return store;
  };
  try {
    await body({ store: await open(), open });
  } finally {
    await Promise.all(stores.map((store) => store.close()));
    await options.removeLocation?.(location);
  }
}
