/** Shapes of what the routes about health take and give. */
import { z } from '@hono/zod-openapi';
import { statuses } from '../core/health/check.ts';

const status = z.enum(statuses);
const facts = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
const check = z.object({
  name: z.string(),
  status,
  message: z.string(),
  hint: z.string().optional(),
  durationMs: z.number(),
  facts: facts.optional(),
});
export const HealthReport = z
  .object({ status, reasons: z.array(z.string()), at: z.int(), checks: z.array(check) })
  .openapi('HealthReport');
export const RecoverQuery = z.strictObject({
  timeoutMs: z.coerce
    .number()
    .optional()
    .openapi({ description: 'How long to wait for it; what takes longer goes on' }),
});
export const Recovered = z
  .object({ action: z.string(), done: z.boolean(), message: z.string(), durationMs: z.number() })
  .openapi('Recovered');
