/**
 * `npm test`: every check of the house, in order, and then the tests. A failed step does not stop the next one, so
 * that all problems are seen at once. The last line is always `N passed, N failed, N skipped`.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Outcome, runVitest, type Skip } from './vitest.ts';

interface Step {
  name: string;
  run(): Promise<Outcome>;
}

const root = join(import.meta.dirname, '..');
const bin = (name: string) => join(root, 'node_modules/.bin', name);

const steps: Step[] = [
  { name: 'type check', run: () => command(bin('tsc'), '-p', 'tsconfig.json') },
  { name: 'lint', run: () => command(bin('biome'), 'check', '--colors=off', '.') },
  { name: 'unused code', run: () => command(bin('knip'), '--no-progress') },
  { name: 'build', run: () => command(process.execPath, 'scripts/build.ts') },
  { name: 'export maps', run: checkPackage },
  { name: 'tests', run: () => runVitest(root) },
];

const total = { passed: 0, failed: 0 };
const skips: Skip[] = [];
for (const step of steps) {
  const started = performance.now();
  const outcome = await step.run().catch((error: unknown) => failure(String(error)));
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (outcome.output) console.log(outcome.output);
  console.log(`${outcome.failed === 0 ? '✓' : '✗'} ${step.name.padEnd(12)} ${seconds.padStart(5)} s`);
  total.passed += outcome.passed;
  total.failed += outcome.failed;
  skips.push(...outcome.skips);
}
if (skips.length > 0) console.log('\nskipped:');
// A whole file that lacks a server has one reason.
const alike = Map.groupBy(skips, ({ file, reason }) => `${file}: ${reason}`);
for (const [what, [first, ...others]] of alike) {
  const { file, name, reason } = first!;
  console.log(others.length === 0 ? `- ${file}: ${name}: ${reason}` : `- ${others.length + 1} of ${what}`);
}

// The last line is a promise: nothing may print after it.
process.stdout.write(`\n${total.passed} passed, ${total.failed} failed, ${skips.length} skipped\n`, () =>
  process.exit(total.failed === 0 ? 0 : 1),
);

/** What users install must resolve for them: the packed package is judged, not the checkout. */
async function checkPackage(): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-pack-'));
  try {
    const pack = await command('npm', 'pack', '--silent', '--ignore-scripts', '--pack-destination', folder);
    const tarball = readdirSync(folder)[0];
    if (pack.failed > 0 || !tarball) return pack;
    const packed = join(folder, tarball);
    const answers = await Promise.all([
      command(bin('publint'), 'run', packed, '--strict'),
      command(bin('attw'), packed, '--profile', 'esm-only', '--no-color', '--no-emoji'),
    ]);
    return answers.find((answer) => answer.failed > 0) ?? success();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** One program as one check: silent when it passes, all it said when it fails. */
function command(program: string, ...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stdout.on('data', (chunk) => (said += chunk));
    child.stderr.on('data', (chunk) => (said += chunk));
    child.on('error', (error) => resolve(failure(error.message)));
    child.on('close', (code) => resolve(code === 0 ? success() : failure(said.trim())));
  });
}

function success(): Outcome {
  return { passed: 1, failed: 0, skips: [] };
}

function failure(output: string): Outcome {
  return { passed: 0, failed: 1, skips: [], output };
}
