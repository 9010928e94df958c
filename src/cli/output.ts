import { once } from 'node:events';
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** One of the program's two streams, with colours where it is a terminal that shows them. */
export class Output {
  readonly stream: NodeJS.WriteStream;
  readonly #color: boolean;

  constructor(stream: NodeJS.WriteStream, color: boolean) {
    this.stream = stream;
    this.#color = color;
  }

  get isTerminal(): boolean {
    return this.stream.isTTY === true;
  }

  /** How many columns a line may take. */
  get columns(): number {
    return this.stream.columns ?? 120;
  }

  /** Colours a text; plain when the stream is no terminal, or NO_COLOR or --no-color say so. */
  style(style: Style, text: string): string {
    return this.#color ? styleText(style, text, { stream: this.stream }) : text;
  }

  line(text = ''): void {
    this.stream.write(`${text}\n`);
  }

  json(value: unknown): void {
    this.line(JSON.stringify(value));
  }

  /** Writes, and waits while the reader is behind: what is not read yet does not pile up in memory. */
  async write(text: string): Promise<void> {
    if (!this.stream.write(text)) await once(this.stream, 'drain');
  }
}
