#!/usr/bin/env node
/** The program `holdfast`. The only file of the CLI that does something when it is loaded. */

// Before anything is loaded: an older Node would crash on a database driver that was built for newer ones.
const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
if (major < 22 || (major === 22 && minor < 13)) {
  process.stderr.write(`holdfast: needs Node.js 22.13 or later, this is ${process.versions.node}\n`);
  process.exit(1);
}

// The reader went away (`| head`): there is nobody left to tell anything.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    throw error;
  });
}

const { run } = await import('./program.ts');
process.exitCode = await run(process.argv.slice(2), process.env);
