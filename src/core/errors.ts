/**
 * The one error family. Every error that Holdfast throws on purpose is a {@link HoldfastError} with a stable
 * `code`; messages say what was wrong and what to do, and never carry secrets or message content.
 */

const marker = Symbol.for('holdfast.error');

/** Stable codes. They are part of the public contract: HTTP answers and CLI output carry the same ones. */
export type ErrorCode =
  | 'invalid-input'
  | 'forbidden'
  | 'not-found'
  | 'conflict'
  | 'budget'
  | 'unsupported'
  | 'closed'
  | 'store-unavailable'
  | 'store-corrupt'
  | 'store-newer-schema'
  | 'cursor-expired'
  | 'missing-package'
  | 'embedder'
  | 'rate-limited'
  | 'overloaded'
  | 'timeout'
  | 'aborted'
  | 'tool-failed'
  | 'tool-unavailable'
  | 'result-too-large'
  | 'config'
  | 'import'
  | 'release'
  | 'internal';

export interface ErrorOptions {
  /** What went wrong underneath. */
  cause?: unknown;
  /** One sentence that says how to mend it. */
  hint?: string;
  /** Numbers and names a program may act on. Never content. */
  details?: Record<string, unknown>;
}

/** The base of all errors. Recognise one with {@link isHoldfastError}: two copies of the package may be loaded. */
export class HoldfastError extends Error {
  readonly code: ErrorCode;
  readonly hint?: string;
  readonly details?: Record<string, unknown>;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    if (options.hint !== undefined) this.hint = options.hint;
    if (options.details !== undefined) this.details = options.details;
    Object.defineProperty(this, marker, { value: true });
  }

  /** The wire form: what HTTP answers and `--json` output carry. */
  toJSON(): Record<string, unknown> {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(this.details === undefined ? {} : { details: this.details }),
    };
  }
}

/** Whether a value is one of ours, whichever copy of the package threw it. Anything may be asked: it never throws. */
export function isHoldfastError(value: unknown): value is HoldfastError {
  try {
    return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[marker] === true;
  } catch {
    return false;
  }
}

/** One thing that is wrong with an input: `path` is the field (`messages[2].role`), `message` says what and the limit. */
export interface InputIssue {
  path: string;
  message: string;
}

/** An input that can't be accepted. All problems are reported at once, in `issues`. Nothing was written. */
export class InvalidInputError extends HoldfastError {
  readonly issues: readonly InputIssue[];

  constructor(what: string, issues: readonly InputIssue[], options: ErrorOptions = {}) {
    super('invalid-input', `${what}: ${listIssues(issues)}`, {
      ...options,
      details: { ...options.details, issues },
    });
    this.issues = issues;
  }
}

/** Something addressed by id that does not exist. */
export class NotFoundError extends HoldfastError {
  constructor(what: string, id: string, options: ErrorOptions = {}) {
    super('not-found', `${what} ${quote(id)} does not exist`, {
      ...options,
      details: { what, id, ...options.details },
    });
  }
}

/** A lost compare-and-set: somebody else wrote first. `currentVersion` is undefined where nothing is stored. */
export class ConflictError extends HoldfastError {
  readonly currentVersion: number | undefined;

  constructor(message: string, currentVersion: number | undefined, options: ErrorOptions = {}) {
    super('conflict', message, {
      hint: 'Read the current value, apply the change to it, and write again with its version.',
      ...options,
      details: { currentVersion: currentVersion ?? null, ...options.details },
    });
    this.currentVersion = currentVersion;
  }
}

/** Whether an error is a lost compare-and-set, or another condition that did not hold. */
export function isConflict(error: unknown): error is ConflictError {
  return isHoldfastError(error) && error.code === 'conflict';
}

/** For `catch`: a lost race is no failure, everything else is. */
export function ignoreConflict(error: unknown): void {
  if (!isConflict(error)) throw error;
}

/** What a window must hold does not fit the budget. All numbers are tokens. */
export class BudgetError extends HoldfastError {
  readonly requiredTokens: number;
  readonly budgetTokens: number;

  constructor(requiredTokens: number, budgetTokens: number, parts: Record<string, number>) {
    const list = Object.entries(parts).map(([name, tokens]) => `${name} ${tokens}`);
    super(
      'budget',
      `the window needs at least ${requiredTokens} tokens (${list.join(', ')}) but the budget leaves ${budgetTokens}`,
      {
        hint: budgetHint(parts),
        details: { requiredTokens, budgetTokens, parts },
      },
    );
    this.requiredTokens = requiredTokens;
    this.budgetTokens = budgetTokens;
  }
}

/** What makes a part of a window smaller. */
const SMALLER: Readonly<Record<string, string>> = {
  reply: 'lower replyTokens',
  tools: 'pass fewer tools, or shorter schemas',
  system: 'shorten the system prompt',
  pinned: 'unpin messages',
  newest: 'shorten the newest message',
  lastUserTurn: "shorten the user's last turn",
};

function budgetHint(parts: Record<string, number>): string {
  const [largest] = Object.keys(parts).sort((a, b) => parts[b]! - parts[a]!);
  const smaller = SMALLER[largest!];
  return smaller ? `The largest part is ${largest}: ${smaller}, or raise maxTokens.` : 'Raise maxTokens.';
}

/** A call that this store or this build does not support. Nothing is ever a silent no-op. */
export class UnsupportedError extends HoldfastError {
  constructor(message: string, options: ErrorOptions = {}) {
    super('unsupported', message, options);
  }
}

/** A call on a store or engine that is closed. */
export class ClosedError extends HoldfastError {
  constructor(what: string) {
    super('closed', `the ${what} is closed`, {
      hint: `Open a new ${what}; a closed one stays closed.`,
      details: { what },
    });
  }
}

/** There is more to do than may wait. Trying again later helps. */
export class OverloadedError extends HoldfastError {
  constructor(maxConcurrent: number, maxQueued: number) {
    super('overloaded', `${maxConcurrent} jobs are running and ${maxQueued} are waiting: no more may wait`, {
      hint: 'Try again later, submit with waitForRoom, or raise maxQueued or maxConcurrent of the option concurrency.',
      details: { maxConcurrent, maxQueued },
    });
  }
}

/** The store can't be reached or can't write at the moment (a full disk, a locked file). Retrying may help. */
export class StoreUnavailableError extends HoldfastError {
  constructor(message: string, options: ErrorOptions = {}) {
    super('store-unavailable', message, options);
  }
}

/** Whether an error says that the store can't be reached or can't write at the moment. */
export function isUnavailable(error: unknown): error is StoreUnavailableError {
  return isHoldfastError(error) && error.code === 'store-unavailable';
}

/** The stored data is damaged. The file is left as it is. */
export class StoreCorruptError extends HoldfastError {
  constructor(message: string, options: ErrorOptions = {}) {
    super('store-corrupt', message, options);
  }
}

/** The store was written by a newer Holdfast than this one. */
export class NewerSchemaError extends HoldfastError {
  constructor(found: number, known: number) {
    super('store-newer-schema', `the store has schema ${found}, this Holdfast knows schemas up to ${known}`, {
      hint: 'Upgrade Holdfast, or open a copy of the store that an older version wrote.',
      details: { found, known },
    });
  }
}

/** A journal cursor that points before what the journal still keeps: changes in between are gone. */
export class CursorExpiredError extends HoldfastError {
  constructor(details: Record<string, unknown> = {}) {
    super('cursor-expired', 'the cursor is older than what the journal keeps', {
      hint: "Read the current state afresh, then follow the journal from 'oldest' or 'newest'.",
      details,
    });
  }
}

export function isCursorExpired(error: unknown): error is CursorExpiredError {
  return isHoldfastError(error) && error.code === 'cursor-expired';
}

/** A place in an imported file. Line, column and conversation (its place in the file) count from 1. */
export interface ImportPlace {
  file: string;
  line?: number;
  column?: number;
  conversation?: number;
}

/** A file that can't be read on from some place. What stands before that place is good. */
export class ImportError extends HoldfastError {
  readonly place: ImportPlace;
  readonly issues: readonly InputIssue[];

  constructor(place: ImportPlace, issues: readonly InputIssue[], options: ErrorOptions = {}) {
    const { file, line, column, conversation } = place;
    const position = [file, line, column].filter((piece) => piece !== undefined).join(':');
    const where = conversation === undefined ? position : `${position}, conversation ${conversation}`;
    super('import', `${where}: ${listIssues(issues)}`, {
      ...options,
      details: { ...options.details, ...place, issues },
    });
    this.place = place;
    this.issues = issues;
  }
}

/** Settings that can't be used: from options, the environment or the config file. All problems at once. */
export class ConfigError extends HoldfastError {
  readonly issues: readonly InputIssue[];

  constructor(issues: readonly InputIssue[], options: ErrorOptions = {}) {
    const list = issues.map((issue) => `${issue.path}: ${issue.message}`);
    super('config', `bad configuration: ${list.join('; ')}`, {
      ...options,
      details: { ...options.details, issues },
    });
    this.issues = issues;
  }
}

/** An optional package is not installed. */
export class MissingPackageError extends HoldfastError {
  constructor(packageName: string, neededFor: string, cause?: unknown) {
    super('missing-package', `${neededFor} needs the package ${packageName}, which is not installed`, {
      cause,
      hint: `npm install ${packageName}`,
      details: { package: packageName },
    });
  }
}

/** An embedder that fails, or gives what are no vectors. Heard by `onError` only: searches go by words meanwhile. */
export class EmbedderError extends HoldfastError {
  constructor(message: string, options: ErrorOptions = {}) {
    super('embedder', message, options);
  }
}

/** Resources of a task that could not be released. Everything else of the task was closed and saved. */
export class ReleaseError extends HoldfastError {
  /** What each of them threw, in the order in which they were released. */
  readonly errors: readonly unknown[];

  constructor(failures: readonly { name: string; error: unknown }[]) {
    const names = failures.map(({ name }) => name);
    const errors = failures.map(({ error }) => error);
    super('release', `could not be released: ${names.map(quote).join(', ')}`, {
      cause: new AggregateError(errors, 'what they threw'),
      hint: 'See `errors` for what each of them threw.',
      details: { resources: names },
    });
    this.errors = errors;
  }
}

function listIssues(issues: readonly InputIssue[]): string {
  return issues.map((issue) => (issue.path ? `${issue.path}: ${issue.message}` : issue.message)).join('; ');
}

/** Shows an id in a message: quoted, control characters escaped, cut to 80 characters. */
export function quote(id: string): string {
  return JSON.stringify(id.length > 80 ? `${id.slice(0, 80)}…` : id);
}
