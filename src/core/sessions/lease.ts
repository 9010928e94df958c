import type { Clock } from '../clock.ts';
import { ConflictError, isHoldfastError, quote } from '../errors.ts';

/** What a write needs to go ahead only under a lease: the lease itself, or its token alone, in another process. */
export interface Fence {
  readonly token: number;
}

/** What a lease stands on. */
export interface LeaseBacking {
  readonly clock: Clock;
  /** @returns until when it is ours now (epoch milliseconds) */
  renew(): Promise<number>;
  release(): Promise<void>;
  /** Hears that it was lost. */
  lost(): void;
}

export interface LeaseTerms {
  sessionId: string;
  token: number;
  owner: string;
  expiresAt: number;
  ttlMs: number;
  autoRenew: boolean;
}

/** The right to run a session, for one holder at a time. It ends with {@link release}, or when it is not renewed. */
export class Lease implements Fence, AsyncDisposable {
  readonly sessionId: string;
  /** Greater than that of every lease of the session before, and never given again. */
  readonly token: number;
  readonly owner: string;
  readonly #terms: LeaseTerms;
  readonly #backing: LeaseBacking;
  readonly #lost = new AbortController();
  #expiresAt: number;
  #over = false;
  #renewal: NodeJS.Timeout | undefined;
  #deadline: NodeJS.Timeout | undefined;

  /** Use `engine.sessions.lease`. */
  constructor(terms: LeaseTerms, backing: LeaseBacking) {
    this.sessionId = terms.sessionId;
    this.token = terms.token;
    this.owner = terms.owner;
    this.#terms = terms;
    this.#backing = backing;
    this.#expiresAt = terms.expiresAt;
    this.#arm();
  }

  /** Until when it is held without another renewal (epoch milliseconds). */
  get expiresAt(): number {
    return this.#expiresAt;
  }

  /** Aborted when the lease is lost: somebody else took it, or it could not be renewed in time. Not by a release. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** Holds it for another `ttlMs` from now on. @throws ConflictError when it is over */
  async renew(): Promise<void> {
    if (this.#over) throw this.#lost.signal.reason ?? overError(this.sessionId, 'was released');
    try {
      this.#expiresAt = await this.#backing.renew();
      if (!this.#over) this.#arm();
    } catch (error) {
      if (isOver(error)) this.#lose(error);
      throw error;
    }
  }

  /** Gives it back: the next one may have it at once. Nothing happens where it is over already. */
  async release(): Promise<void> {
    if (this.#over) return;
    this.#end();
    await this.#backing.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** The timers hold no process: one that has nothing else to do ends, and its lease expires. */
  #arm(): void {
    this.#stop();
    const { ttlMs, autoRenew } = this.#terms;
    if (autoRenew) this.#renewal = setTimeout(() => this.#renewSoon(), ttlMs / 3).unref();
    this.#deadline = setTimeout(() => this.#lapse(), this.#left()).unref();
  }

  /** A renewal that fails is tried again until the lease has expired; one that hangs does not hold up the end. */
  #renewSoon(): void {
    this.renew().catch(() => {
      if (!this.#over) this.#renewal = setTimeout(() => this.#renewSoon(), this.#terms.ttlMs / 10).unref();
    });
  }

  #lapse(): void {
    if (this.#over) return;
    if (this.#expiresAt <= this.#backing.clock.now())
      this.#lose(overError(this.sessionId, 'was not renewed in time'));
    else this.#deadline = setTimeout(() => this.#lapse(), this.#left()).unref();
  }

  #left(): number {
    return Math.max(1, this.#expiresAt - this.#backing.clock.now());
  }

  #lose(reason: unknown): void {
    if (this.#over) return;
    this.#end();
    this.#backing.lost();
    this.#lost.abort(reason);
  }

  #end(): void {
    this.#over = true;
    this.#stop();
  }

  #stop(): void {
    clearTimeout(this.#renewal);
    clearTimeout(this.#deadline);
  }
}

/** Errors after which no renewal can succeed: it is somebody else's, its session is gone, the engine is closed. */
function isOver(error: unknown): boolean {
  return isHoldfastError(error) && ['conflict', 'not-found', 'closed'].includes(error.code);
}

/** @param what how it ended */
export function overError(sessionId: string, what: string, cause?: unknown): ConflictError {
  return new ConflictError(`the lease of session ${quote(sessionId)} ${what}`, undefined, {
    hint: 'Stop the run: another one may have the session. A new lease is had with sessions.lease.',
    details: { sessionId },
    cause,
  });
}
