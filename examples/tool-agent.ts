/**
 * An agent with a tool that survives its own death. It runs in a child process that is killed between a tool call and
 * its result; started again, it goes on from what is stored. Every message has an id of its own, so that a step that
 * is done twice is stored once.
 * Run it: npx node examples/tool-agent.ts
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ContextEngine, type Part } from '../src/index.ts'; // in your project: from 'holdfast'

const [mode, file] = process.argv.slice(2);
if (mode === undefined) watch();
else await runAgent(file!, mode === 'die');

/** Starts the agent, which is killed, and starts it again. */
function watch(): void {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-example-'));
  const start = (how: string) =>
    spawnSync(process.execPath, [import.meta.filename, how, join(folder, 'agent.db')], { stdio: 'inherit' });
  console.log(`the agent ended by ${start('die').signal}`);
  console.log(`the agent ended with code ${start('live').status}`);
  rmSync(folder, { recursive: true });
}

async function runAgent(path: string, die: boolean): Promise<void> {
  await using engine = await ContextEngine.open(`file:${path}`);
  const session = engine.session('trip');
  const { messageCount } = await session.getOrCreate({ userId: 'jon' });
  console.log(messageCount === 0 ? 'starting' : `going on after ${messageCount} messages`);
  await session.messages.append({ id: 'question', role: 'user', content: 'Will I need a coat in Oslo?' });

  for (;;) {
    const newest = (await session.messages.list({ limit: 1 }))[0]!;
    const call =
      newest.role === 'assistant' && typeof newest.content !== 'string' && newest.content.find(isCall);
    if (call) {
      if (die) process.kill(process.pid, 'SIGKILL');
      const result = { type: 'tool-result', toolCallId: call.toolCallId, toolName: call.toolName };
      const output = { type: 'json', value: { celsius: 3 } };
      await session.messages.append({
        id: `result-${call.toolCallId}`,
        role: 'tool',
        content: [{ ...result, output }],
      });
      continue;
    }
    if (newest.role === 'assistant') break;
    const { messages } = await session.window.build({ maxTokens: 2000, as: 'ai-sdk' });
    await session.messages.append({ id: `after-${newest.id}`, ...model(messages) });
  }
  for (const { role, id } of await session.messages.list()) console.log(`  ${role.padEnd(9)} ${id}`);
}

function isCall(part: Part): part is Part & { type: 'tool-call'; toolCallId: string; toolName: string } {
  return part.type === 'tool-call';
}

/** Stands for a model: asks for the weather, and answers when it has it. */
function model(messages: readonly { role: string }[]) {
  const asked = messages.some(({ role }) => role === 'tool');
  const call = { type: 'tool-call', toolCallId: 'call-1', toolName: 'weather', input: { city: 'Oslo' } };
  return { role: 'assistant', content: asked ? 'Yes: it is 3 degrees.' : [call] };
}
