import { outcomeOf } from './series.ts';

/** Times an operation from when it was made to when it is stopped: `using timer = engine.monitor.operationTimer('plan')`. */
export class OperationTimer implements Disposable {
  readonly name: string;
  readonly #start = performance.now();
  readonly #end: (durationMs: number, outcome: string) => void;
  #durationMs: number | undefined;
  #outcome = 'ok';

  constructor(name: string, end: (durationMs: number, outcome: string) => void) {
    this.name = name;
    this.#end = end;
  }

  /** Says that the operation failed; it goes on until it is stopped. Of the error only its code is told. */
  fail(error: unknown): void {
    this.#outcome = outcomeOf(error);
  }

  /** Ends it. @returns how long it took (milliseconds); a second stop changes nothing */
  stop(): number {
    if (this.#durationMs === undefined) {
      this.#durationMs = performance.now() - this.#start;
      this.#end(this.#durationMs, this.#outcome);
    }
    return this.#durationMs;
  }

  [Symbol.dispose](): void {
    this.stop();
  }
}
