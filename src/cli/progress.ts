import type { Output } from './output.ts';
import { bar, clip } from './text.ts';

const REDRAW_MS = 80;

/** A progress bar on a terminal; silent elsewhere. It owns its line until it is cleared. */
export class Progress {
  readonly #out: Output;
  readonly #shown: boolean;
  #drawnAt = 0;

  /** @param quiet for `--json`: nothing but the result is shown */
  constructor(out: Output, quiet: boolean) {
    this.#out = out;
    this.#shown = out.isTerminal && !quiet;
  }

  /** @param share from 0 to 1 */
  show(share: number, text: string): void {
    this.#draw(() => `${bar(share, 24)} ${`${Math.floor(share * 100)}`.padStart(3)} %  ${text}`);
  }

  /** For work of which nobody knows how much there is. */
  count(text: string): void {
    this.#draw(() => text);
  }

  clear(): void {
    if (this.#shown) this.#out.stream.write('\r\x1b[2K');
  }

  #draw(line: () => string): void {
    const now = performance.now();
    if (!this.#shown || now - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = now;
    this.#out.stream.write(`\r\x1b[2K${clip(line(), this.#out.columns - 1)}`);
  }
}
