import { z } from 'zod';
import { isUnavailable } from '../errors.ts';
import { idSchema, parseInput } from '../input.ts';
import { decodeJson } from '../json.ts';
import { kinds, sessionExists } from '../partitions.ts';
import { missingSession, partitionOf, type ServiceContext } from '../services.ts';

const tokens = z.int().min(0);
const reportSchema = z
  .strictObject({
    inputTokens: tokens,
    cachedTokens: tokens.optional(),
    outputTokens: tokens.optional(),
    model: idSchema.optional(),
  })
  .refine((report) => (report.cachedTokens ?? 0) <= report.inputTokens, {
    path: ['cachedTokens'],
    message: 'must not exceed inputTokens, which include them',
  });

/** What a provider says a call has cost. */
export interface UsageReport {
  /** All input tokens, those from the cache included. */
  inputTokens: number;
  /** Those that came from the provider's prompt cache. */
  cachedTokens?: number | undefined;
  outputTokens?: number | undefined;
  model?: string | undefined;
}

/** Summed up reports. */
export interface Usage {
  calls: number;
  inputTokens: number;
  cachedTokens: number;
  outputTokens: number;
}

export interface SessionUsage extends Usage {
  byModel: Record<string, Usage>;
}

/** How a provider's counts compare with ours: its tokens for one of ours, averaged. */
export interface Calibration {
  ratio: number;
  reports: number;
}

/** What a window was counted at, and whether by the model's own tokenizer. */
export interface Estimate {
  tokens: number;
  exact: boolean;
}

/** The share that a new report has in the average, and how far a single one may lead astray. */
const WEIGHT = 0.5;
const LEAST = 0.5;
const MOST = 4;
/** The model's own tokenizer never counts too much: what a report shows beyond it is the provider's overhead. */
const LEAST_EXACT = 1;
/** The record of calls whose model was not named. */
const UNNAMED = '$unnamed';

/** Usage by session and model, and what it teaches about our own counting. */
export class UsageLedger {
  readonly #context: ServiceContext;

  constructor(context: ServiceContext) {
    this.#context = context;
  }

  /**
   * Adds a report to the session's sums and, where the estimate for that call is known, to the calibration.
   * @param estimate what the window of that call was counted at, tool schemas included, before calibration
   */
  async report(sessionId: string, report: UsageReport, estimate: Estimate | undefined): Promise<void> {
    const {
      inputTokens,
      cachedTokens = 0,
      outputTokens = 0,
      model,
    } = parseInput(reportSchema, report, 'window.reportUsage');
    const deltas = { calls: 1, inputTokens, cachedTokens, outputTokens };
    const partition = partitionOf(this.#context, sessionId);
    try {
      await this.#context.store.commit({
        partition,
        operations: [sessionExists, { op: 'add', kind: kinds.usage, id: model ?? UNNAMED, deltas }],
      });
    } catch (error) {
      throw missingSession(error, sessionId);
    }
    if (estimate === undefined || estimate.tokens === 0 || inputTokens === 0) return;
    const least = estimate.exact ? LEAST_EXACT : LEAST;
    const ratio = Math.min(MOST, Math.max(least, inputTokens / estimate.tokens));
    await this.#context.records.update<Calibration>(
      partition,
      kinds.calibration,
      (current) => {
        const before = current?.value;
        const average = before ? before.ratio + (ratio - before.ratio) * WEIGHT : ratio;
        return { value: { ratio: average, reports: (before?.reports ?? 0) + 1 }, also: [sessionExists] };
      },
      { id: model ?? UNNAMED },
    );
  }

  /** What reports have taught; nothing while the store is away. */
  async calibration(sessionId: string, model: string | undefined): Promise<Calibration | undefined> {
    const partition = partitionOf(this.#context, sessionId);
    try {
      const found = await this.#context.records.get<Calibration>(
        partition,
        kinds.calibration,
        model ?? UNNAMED,
      );
      return found?.value;
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      return undefined;
    }
  }

  /** The sums of a session, by model and in all. Calls whose model was not named count as `unnamed`. */
  async of(sessionId: string): Promise<SessionUsage> {
    const total: Usage = { calls: 0, inputTokens: 0, cachedTokens: 0, outputTokens: 0 };
    const byModel = new Map<string, Usage>();
    let after: string | undefined;
    do {
      const range = { limit: 1000, ...(after !== undefined && { after }) };
      const page = await this.#context.store.listRecords(
        partitionOf(this.#context, sessionId),
        kinds.usage,
        range,
      );
      for (const { id, value } of page.items) {
        const usage = decodeJson<Usage>(value);
        byModel.set(id === UNNAMED ? 'unnamed' : id, usage);
        for (const field of Object.keys(total) as (keyof Usage)[]) total[field] += usage[field];
      }
      after = page.next;
    } while (after !== undefined);
    return { ...total, byModel: Object.fromEntries(byModel) };
  }
}
