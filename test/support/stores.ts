/** Stores that tell what is asked of them, or are cut off. */
import type { Batch, Store } from '../../src/core/store.ts';

/** What a store was asked. */
export interface Asked {
  commits: Batch[];
  /** Log entries given out. */
  entries: number;
}

/** Watches a store; `cutOff` says which commits fail as if the process had died before them. */
export function watched(
  store: Store,
  cutOff: (batch: Batch) => boolean = () => false,
): { store: Store; asked: Asked } {
  const asked: Asked = { commits: [], entries: 0 };
  const watchers: Partial<Store> = {
    async commit(batch) {
      if (cutOff(batch)) throw new Error('cut off');
      asked.commits.push(batch);
      return store.commit(batch);
    },
    async readLog(...where) {
      const page = await store.readLog(...where);
      asked.entries += page.entries.length;
      return page;
    },
  };
  const proxy = new Proxy(store, {
    get(target, name: keyof Store) {
      const member = watchers[name] ?? target[name];
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  return { store: proxy, asked };
}
