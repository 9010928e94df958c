/** `npm run build`: compiles `src` into a clean `dist`, with the Lua scripts. Exits as tsc does. */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const program = join(root, 'dist/cli/main.js');

rmSync(join(root, 'dist'), { recursive: true, force: true });
const tsc = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
// Redis's scripts are read where they are run.
cpSync(join(root, 'src/stores/redis/scripts'), join(root, 'dist/stores/redis/scripts'), { recursive: true });
if (existsSync(program)) chmodSync(program, 0o755);
process.exitCode = tsc.status ?? 1;
