/** Lets `vi.waitFor` wait as long as `expect.poll`: it gives up after a second, and no setting changes that. */
import { vi } from 'vitest';
import { CONDITION_MS } from './patience.ts';

const { waitFor } = vi;
vi.waitFor = (callback, options = {}) =>
  waitFor(callback, typeof options === 'number' ? options : { timeout: CONDITION_MS, ...options });
