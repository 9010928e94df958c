/** Fair figures on a busy machine: all cases take turns, round after round, and medians are compared. */
import type { Row, Target } from './types.ts';

/** Something to measure. `run` does the work once and gives its figure: a rate, or a time. */
export interface Case {
  readonly name: string;
  run(): Promise<number> | number;
}

export interface RoundsOptions {
  /** Measured rounds, 3 unless said; fewer are refused. */
  readonly rounds?: number;
  /** Rounds that are thrown away first, 1 unless said. */
  readonly warmups?: number;
  readonly progress?: (done: number, total: number, what: string) => void;
}

/** Runs the cases in turn. Every other round goes backwards, so that no case always follows the same one. */
export async function interleave(cases: readonly Case[], options: RoundsOptions = {}): Promise<Rounds> {
  const { rounds = 3, warmups = 1, progress } = options;
  if (rounds < 3) throw new RangeError(`a figure needs at least three rounds, not ${rounds}`);
  const figures = new Map<string, number[]>(cases.map(({ name }) => [name, []]));
  const total = (warmups + rounds) * cases.length;
  let done = 0;
  for (let round = 0; round < warmups + rounds; round++) {
    for (const one of round % 2 === 0 ? cases : cases.toReversed()) {
      progress?.(done++, total, round < warmups ? `${one.name} (warm-up)` : one.name);
      const figure = await one.run();
      if (round >= warmups) figures.get(one.name)?.push(figure);
    }
  }
  progress?.(total, total, '');
  return new Rounds(figures);
}

/** The figures of all rounds, by case. */
export class Rounds {
  readonly #figures: ReadonlyMap<string, readonly number[]>;

  constructor(figures: ReadonlyMap<string, readonly number[]>) {
    this.#figures = figures;
  }

  /** One figure a round, in the order of the rounds. */
  figures(name: string): readonly number[] {
    const figures = this.#figures.get(name);
    if (!figures) throw new RangeError(`no case is named ${name}`);
    return figures;
  }

  median(name: string): number {
    return median(this.figures(name));
  }

  /** Each round's figure over the baseline's of the same round. */
  ratios(name: string, baseline: string): number[] {
    const floor = this.figures(baseline);
    return this.figures(name).map((figure, round) => figure / floor[round]!);
  }

  /** A case as a row of the report, as a ratio to `baseline` where one is named. */
  row(name: string, unit: string, baseline?: string, target?: Target): Row {
    const row: Row = { case: name, value: this.median(name), unit, ...(target && { target }) };
    if (baseline === undefined) return row;
    return { ...row, baseline: this.median(baseline), ratio: median(this.ratios(name, baseline)) };
  }
}

/** The middle figure, or the mean of the two in the middle. */
export function median(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** How long the work takes, in milliseconds. */
export async function milliseconds(work: () => unknown): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** How many times a second `count` pieces of work, done together by `work`, get done. */
export async function perSecond(count: number, work: () => unknown): Promise<number> {
  return (count * 1000) / (await milliseconds(work));
}
