/** A bar on standard error while a bench runs on a terminal; silent elsewhere. */
export class ProgressBar {
  readonly #stream: NodeJS.WriteStream;

  constructor(stream: NodeJS.WriteStream = process.stderr) {
    this.#stream = stream;
  }

  show(done: number, total: number, what = ''): void {
    if (!this.#stream.isTTY) return;
    const width = 24;
    const share = total > 0 ? Math.min(1, done / total) : 0;
    const full = Math.round(share * width);
    const bar = '█'.repeat(full) + '░'.repeat(width - full);
    const line = `${bar} ${String(Math.round(share * 100)).padStart(3)} % ${what}`;
    this.#stream.write(`\r\x1b[2K${line.slice(0, (this.#stream.columns ?? 80) - 1)}`);
  }

  clear(): void {
    if (this.#stream.isTTY) this.#stream.write('\r\x1b[2K');
  }
}
