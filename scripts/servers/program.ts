import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A program of this machine or, with an image, of a container. */
export interface Program {
  readonly path: string;
  readonly image?: string;
}

/** Who runs a program, where that is not us. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** How a program is started. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly user?: User | undefined;
  /** The name of the container that signals go to. */
  readonly container?: string;
}

/**
 * How a program is started in a folder. In a container it finds the folder, the users and the network as they are out
 * here, so that all else is the same.
 */
export function commandOf(program: Program, args: readonly string[], folder: string, user?: User): Command {
  const { path, image } = program;
  if (!image) return { file: path, args, user };
  const container = `holdfast-${randomUUID()}`;
  const { uid, gid } = user ?? { uid: process.getuid?.(), gid: process.getgid?.() };
  const here = ['--network', 'host', '--user', `${uid}:${gid}`, '--workdir', folder];
  const files = ['--volume', `${folder}:${folder}`, '--volume', '/etc/passwd:/etc/passwd:ro'];
  const what = ['--entrypoint', path, image, ...args];
  return {
    file: 'docker',
    args: ['run', '--rm', '--name', container, ...here, ...files, ...what],
    container,
  };
}

/** Gets an image. @throws Error that says why not */
export async function pullImage(image: string): Promise<void> {
  // The client may be there without an engine to talk to.
  await run('docker', ['info'], { timeout: 5000 }).catch(() => {
    throw new Error('no Docker answers');
  });
  const present = await run('docker', ['image', 'inspect', image]).catch(() => undefined);
  if (present) return;
  console.error(`pulling ${image} with docker`);
  await run('docker', ['pull', '--quiet', image]).catch((error: Error) => {
    throw new Error(`docker does not get ${image}`, { cause: error });
  });
}

/** Sends a signal to a container's server: the client passes on only what it can catch itself. */
export async function signalContainer(container: string, signal: NodeJS.Signals): Promise<void> {
  // One that has ended already needs no signal.
  await run('docker', ['kill', '--signal', signal, container]).catch(() => {});
}
