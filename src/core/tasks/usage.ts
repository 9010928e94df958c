/** What models have used: sums that are exact, in memory as in counters. */
import { z } from 'zod';
import { idSchema } from '../input.ts';

/** What one call of a model has used. */
export interface CallUsage {
  /** All input tokens, those from the provider's cache included. */
  inputTokens?: number | undefined;
  cachedTokens?: number | undefined;
  outputTokens?: number | undefined;
  /** In whatever currency you count, to the billionth. */
  cost?: number | undefined;
}

/** Summed up calls. */
export interface UsageSum {
  calls: number;
  inputTokens: number;
  cachedTokens: number;
  outputTokens: number;
  cost: number;
}

export interface ModelUsage extends UsageSum {
  modelId: string;
  providerId: string;
}

export interface TaskUsage extends UsageSum {
  /** The same by model, in the order of their ids. */
  models: ModelUsage[];
}

const tokens = z.int().min(0).max(1e12);
export const callUsageSchema = z
  .strictObject({
    inputTokens: tokens.optional(),
    cachedTokens: tokens.optional(),
    outputTokens: tokens.optional(),
    cost: z.number().min(0).max(1e6).optional(),
  })
  .refine((usage) => (usage.cachedTokens ?? 0) <= (usage.inputTokens ?? usage.cachedTokens ?? 0), {
    path: ['cachedTokens'],
    message: 'must not exceed inputTokens, which include them',
  });

/** Both go into the name of a counter, which has 256 characters. */
export const modelSchema = z.strictObject({
  modelId: idSchema.max(128),
  providerId: idSchema.max(64),
  mode: idSchema.max(64),
});

/** Fractions don't add up exactly in floating point: whole billionths do. */
const NANOS = 1e9;
const measures = ['calls', 'inputTokens', 'cachedTokens', 'outputTokens', 'costNanos'] as const;

/** Sums by model, kept as the fields of a counter: what is added here can be added there. */
export class UsageSums {
  readonly #fields = new Map<string, number>();

  add(deltas: Readonly<Record<string, number>>): void {
    for (const [field, delta] of Object.entries(deltas)) {
      if (readField(field)) this.#fields.set(field, (this.#fields.get(field) ?? 0) + delta);
    }
  }

  /** The fields of a counter. */
  toJSON(): Record<string, number> {
    return Object.fromEntries(this.#fields);
  }

  /** What one model has used, of one provider or all. */
  ofModel(modelId: string, providerId?: string): UsageSums {
    const sums = new UsageSums();
    for (const [field, value] of this.#fields) {
      const of = readField(field)!;
      const wanted = of.modelId === modelId && (providerId === undefined || of.providerId === providerId);
      if (wanted) sums.add({ [field]: value });
    }
    return sums;
  }

  total(): TaskUsage {
    const models = new Map<string, ModelUsage>();
    const total: TaskUsage = { ...none, models: [] };
    for (const [field, value] of this.#fields) {
      const { measure, modelId, providerId } = readField(field)!;
      const key = JSON.stringify([modelId, providerId]);
      const model = models.get(key) ?? { modelId, providerId, ...none };
      models.set(key, model);
      const name = measure === 'costNanos' ? 'cost' : measure;
      for (const sum of [total, model]) sum[name] += value;
    }
    total.models = [...models].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, model]) => model);
    for (const sum of [total, ...total.models]) sum.cost /= NANOS;
    return total;
  }
}

const none: UsageSum = { calls: 0, inputTokens: 0, cachedTokens: 0, outputTokens: 0, cost: 0 };

/** A call, or several, as what it adds to counters. */
export function usageDeltas(
  modelId: string,
  providerId: string,
  usage: CallUsage & { calls?: number },
): Record<string, number> {
  const { calls = 1, inputTokens = 0, cachedTokens = 0, outputTokens = 0, cost = 0 } = usage;
  const values = { calls, inputTokens, cachedTokens, outputTokens, costNanos: Math.round(cost * NANOS) };
  const model = `${providerId.length}:${providerId}${modelId}`;
  const fields = measures.filter((measure) => values[measure] !== 0);
  return Object.fromEntries(fields.map((measure) => [`${measure}:${model}`, values[measure]]));
}

/** Several of these as one. */
export function summedDeltas(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums = new Map<string, number>();
  for (const deltas of all) {
    for (const [field, delta] of Object.entries(deltas)) sums.set(field, (sums.get(field) ?? 0) + delta);
  }
  return Object.fromEntries(sums);
}

/** The provider's name stands in the field with its length: neither name has a character that it may not contain. */
function readField(field: string) {
  const [, name, length, rest] = /^([a-zA-Z]+):(\d+):(.*)$/s.exec(field) ?? [];
  const measure = measures.find((known) => known === name);
  if (!measure || rest === undefined) return undefined;
  return { measure, providerId: rest.slice(0, Number(length)), modelId: rest.slice(Number(length)) };
}
