/** The last position of each shard, as far as a store knows: what it reads at first, and what its own commits add. */
export class Known {
  readonly #read: () => Promise<number[]>;
  readonly #losses: () => number;
  #positions: number[] = [];
  #asOf = -1;
  #reading: Promise<void> | undefined;

  /** @param losses how often a server was lost: the next one may not have all that was known of the last */
  constructor(read: () => Promise<number[]>, losses: () => number) {
    this.#read = read;
    this.#losses = losses;
  }

  get positions(): number[] {
    return this.#positions;
  }

  /** Reads them again where servers were lost since. */
  async refresh(): Promise<void> {
    if (this.#losses() === this.#asOf) return;
    this.#reading ??= this.#readAgain().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  async #readAgain(): Promise<void> {
    const asOf = this.#losses();
    this.#positions = await this.#read();
    this.#asOf = asOf;
  }
}
