/**
 * Tools called one after another, each with what the one before gave, some of them side by side; one asks a person, one
 * is tried again, and a chain that fails says where.
 * Run it: npx node examples/tool-chains.ts
 */
import { z } from 'zod';
import { ContextEngine, defineTool } from '../src/index.ts'; // in your project: from 'holdfast'

const price = z.object({ shop: z.string(), euros: z.number() });
let doubts = 1;

const ask = defineTool({
  name: 'ask-shop',
  description: 'What something costs in a shop',
  input: z.object({ shop: z.string(), thing: z.string() }),
  output: price,
  idempotent: true,
  retries: { attempts: 2, backoffMs: 1 },
  execute({ shop, thing }) {
    if (shop === 'Corner' && doubts-- > 0) throw new Error('the line is busy');
    return { shop, euros: shop.length + thing.length };
  },
});
const cheapest = defineTool({
  name: 'cheapest',
  description: 'The cheapest of some offers',
  input: z.object({ offers: z.array(price).min(1) }),
  execute: ({ offers }) => offers.toSorted((a, b) => a.euros - b.euros)[0]!,
});
const buy = defineTool({
  name: 'buy',
  description: 'Buys it',
  permission: 'ask',
  input: price,
  execute: ({ shop, euros }) => `bought at ${shop} for ${euros} euros`,
});

await using engine = await ContextEngine.open('memory:', {
  // Stands for a person: nothing above 14 euros.
  tools: { approve: ({ input }) => ({ approved: price.parse(input).euros <= 14, reason: 'is too dear' }) },
});
engine.tools.register([ask, cheapest, buy]);

for (const thing of ['a kettle', 'a very large kettle']) {
  const { success, result, error, failedAt, steps } = await engine.tools.chain([
    ['Market', 'Corner'].map((shop) => ({ tool: ask, params: { shop, thing } })), // side by side
    { tool: cheapest, params: (offers: unknown) => ({ offers }) },
    { tool: buy },
  ]);
  if (success) console.log(`${thing}: ${result}, in ${steps.length} steps`);
  else
    console.log(`${thing}: not bought in step ${failedAt!.step + 1}, ${failedAt!.tool}: ${error!.message}`);
}
const { calls, attempts } = engine.tools.stats('ask-shop');
console.log(`the shops were asked ${calls} times, in ${attempts} attempts`);
