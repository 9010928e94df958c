import { HoldfastError } from '../errors.ts';
import { Halt } from './halt.ts';

/** A call that several callers wait for. */
interface Flight<T> {
  result: Promise<T>;
  halt: Halt;
  waiting: number;
}

/** Lets equal calls that come while one is under way share it. One caller's leaving fails no other one. */
export class Flights<T> {
  readonly #flights = new Map<string, Flight<T>>();

  has(key: string): boolean {
    return this.#flights.has(key);
  }

  /**
   * Waits for the call of that key, which is made where none is under way. It is stopped when nobody waits any longer.
   * @throws what the call throws; the reason of the caller's own halt
   */
  async join(key: string, halt: Halt, make: (halt: Halt) => Promise<T>): Promise<T> {
    const flight = this.#flights.get(key) ?? this.#start(key, make);
    flight.waiting++;
    try {
      return await halt.race(flight.result);
    } finally {
      flight.waiting--;
      if (flight.waiting === 0) {
        this.#end(key, flight);
        flight.halt.stop(new HoldfastError('aborted', 'nobody waits for the call any longer'));
      }
    }
  }

  #start(key: string, make: (halt: Halt) => Promise<T>): Flight<T> {
    const halt = new Halt();
    const flight: Flight<T> = { result: make(halt), halt, waiting: 0 };
    this.#flights.set(key, flight);
    const end = () => this.#end(key, flight);
    flight.result.then(end, end);
    return flight;
  }

  #end(key: string, flight: Flight<T>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
  }
}
