/** What a bench or drill is, and what it reports. */

/** A bound on a row: on its ratio where it has a baseline, on its value otherwise, or where `of` says so. */
export type Target = ({ readonly atLeast: number } | { readonly atMost: number }) & { readonly of?: 'value' };

/** One measured figure. */
export interface Row {
  readonly case: string;
  readonly value: number;
  /** What `value` and `baseline` count: `messages/s`, `ms`, `lost`, … */
  readonly unit: string;
  /** The floor or peer that the value is held against, measured in the same rounds. */
  readonly baseline?: number;
  /** `value / baseline`, or the median of the rounds' own ratios. */
  readonly ratio?: number;
  readonly target?: Target;
  /** Whether the target is met. Filled in by the report. */
  readonly ok?: boolean;
}

/** What `--json` prints. */
export interface Report {
  readonly name: string;
  readonly rows: readonly Row[];
  /** The store's URL without credentials; null for what needs no store. */
  readonly store: string | null;
  readonly versions: Readonly<Record<string, string>>;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly memoryBytes: number;
    readonly os: string;
  };
  readonly durationMs: number;
}

/** A command-line option of one bench, in commander's notation. */
export interface BenchOption {
  /** `--rounds <count>`; its value arrives in `context.options.rounds`. */
  readonly flags: string;
  readonly description: string;
  readonly default?: string | number | boolean;
  /** Turns the text into a value; throws commander's `InvalidArgumentError` to reject it. See `options.ts`. */
  readonly parse?: (text: string) => unknown;
}

/** The default export of a file in `bench/benches` or `bench/drills`. */
export interface Bench {
  /** The file's name without its ending. */
  readonly name: string;
  /** One line for `-- list`. */
  readonly summary: string;
  /** The store it runs on unless `--store` says otherwise. */
  readonly store?: string;
  readonly options?: readonly BenchOption[];
  run(context: Context): Promise<readonly Row[]>;
}

/** What a running bench is given. */
export interface Context {
  /** `--store`, or the bench's own default. */
  readonly store: string | undefined;
  /** `--data`: a file of conversations. */
  readonly data: string | undefined;
  readonly options: Readonly<Record<string, unknown>>;
  /** Disposed of at the end, after an error and on Ctrl-C: give it child processes, servers and stores. */
  readonly resources: AsyncDisposableStack;
  /** Versions for the report; add those of what is measured. */
  readonly versions: Record<string, string>;
  /** Moves the progress bar. */
  progress(done: number, total: number, what?: string): void;
  /** A fresh folder, removed at the end. */
  temporaryFolder(): Promise<string>;
  /**
   * Imports a peer from `bench/package.json`, which is installed on first use, and notes its version.
   * `T` is the part of the module that the bench uses.
   */
  peer<T>(specifier: string): Promise<T>;
}
