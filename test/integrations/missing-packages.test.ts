import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const integrations = join(import.meta.dirname, '../../src/integrations');

/** Runs a call where the package can't be found. */
function runWithout(name: string, folder: string, call: string): unknown {
  const program = `
    import { registerHooks } from 'node:module';
    registerHooks({
      resolve(specifier, context, next) {
        if (!specifier.startsWith(${JSON.stringify(name)})) return next(specifier, context);
        throw Object.assign(new Error('not found'), { code: 'ERR_MODULE_NOT_FOUND' });
      },
    });
    const integration = await import(${JSON.stringify(join(integrations, folder, 'index.ts'))});
    await integration.${call}.catch((error) => console.log(JSON.stringify(error)));`;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
  return JSON.parse(run.stdout);
}

const tool = "{ name: 'a', description: '', inputSchema: {}, schema: {}, execute() {} }";

test.for([
  ['ai', 'ai-sdk', `fromAiSdkTool('a', ${tool})`],
  ['ai', 'ai-sdk', 'toAiSdkTools({})'],
  ['@langchain/core', 'langchain', `fromLangChainTool(${tool})`],
  ['@langchain/core', 'langchain', 'toLangChainTools({})'],
  ['@modelcontextprotocol/sdk', 'mcp', "connectMcpTools({ command: 'x' })"],
] as const)('without %s the entry %s loads, and says what to install: %s', ([name, folder, call]) => {
  expect(runWithout(name, folder, call)).toMatchObject({
    code: 'missing-package',
    hint: `npm install ${name}`,
  });
});
