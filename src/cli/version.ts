import { readFileSync } from 'node:fs';

interface Manifest {
  version: string;
  peerDependencies?: Record<string, string>;
}

/** The package's manifest. */
export function packageJson(): Manifest {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as Manifest;
}

/** The version in it. */
export function version(): string {
  return packageJson().version;
}
