import { setImmediate as nextTurn } from 'node:timers/promises';

/** The group commit waits for one turn of the event loop, the driver for another before it writes, and then it is out. */
const TURNS = 3;

/**
 * Lets the answers of lanes be taken a few turns of the event loop apart. A server answers calls that reach it together
 * together; were they also taken together, the writes that follow would go out together again, and this process and
 * the server would wait for one another in turn. Apart, one lane's writes are made while another's are carried out.
 */
export class Turns {
  #taken: Promise<void> | undefined;

  /** Resolves when it is this lane's turn. */
  async take(): Promise<void> {
    while (this.#taken) await this.#taken;
    this.#taken = this.#pass();
  }

  async #pass(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) await nextTurn();
    this.#taken = undefined;
  }
}
