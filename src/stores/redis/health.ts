import { isHoldfastError, UnsupportedError } from '../../core/errors.ts';
import type { StoreHealth } from '../../core/store.ts';
import type { RedisSettings } from './options.ts';
import type { Servers } from './servers.ts';
import type { Address } from './topology.ts';

type Info = ReadonlyMap<string, string>;

/** The first version that has what the scripts use: sharded channels, and streams that count up by themselves. */
const LEAST_VERSION = 7;

/** What the servers say of themselves, and what of that may lose data. */
export async function readHealth(
  servers: Servers,
  settings: RedisSettings,
  shards: number,
): Promise<StoreHealth> {
  const own = { shards, prefix: settings.prefix, durability: settings.durability };
  try {
    await servers.learn();
    const nodes = await Promise.all(servers.masters.map((address) => readNode(servers, address)));
    const problems = new Set(nodes.flatMap((node) => problemsOf(node, settings)));
    return { ok: true, problems: [...problems], facts: { ...own, ...factsOf(nodes) } };
  } catch (error) {
    if (isHoldfastError(error) && error.code === 'closed') throw error;
    return { ok: false, problems: ['the server does not answer'], facts: own };
  }
}

/** @throws UnsupportedError where a server is too old */
export async function checkVersion(servers: Servers): Promise<void> {
  const [address] = servers.masters;
  if (address === undefined) return;
  const info = await readInfo(servers, address, 'server');
  // Valkey tells the version of Redis that it is compatible with as well: 7.2.
  const version = info.get('redis_version');
  if (version === undefined || Number.parseInt(version, 10) >= LEAST_VERSION) return;
  throw new UnsupportedError(`the server is Redis ${version}, and 7.0 is the first that will do`, {
    hint: 'Use Redis 7.0 or later, or Valkey 8.',
    details: { version },
  });
}

interface NodeState {
  readonly info: Info;
  /** When it writes its memory to disk, as its settings have it; undefined where it does not say. */
  readonly save: string | undefined;
  /** How far our clock is before the server's (milliseconds); undefined where it does not tell its own. */
  readonly clockSkewMs: number | undefined;
}

async function readNode(servers: Servers, address: Address): Promise<NodeState> {
  await servers.ask(address, ['PING']);
  const info = await readInfo(servers, address, 'default');
  const clockSkewMs = await readSkew(servers, address);
  return { info, save: await readSetting(servers, address, 'save'), clockSkewMs };
}

/** Managed servers may forbid it: then there is nothing to tell. */
async function readInfo(servers: Servers, address: Address, section: string): Promise<Info> {
  const answer = await servers.ask(address, ['INFO', section]).catch(() => '');
  return new Map(
    String(answer)
      .split('\r\n')
      .filter((line) => line.includes(':'))
      .map((line): [string, string] => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  );
}

async function readSkew(servers: Servers, address: Address): Promise<number | undefined> {
  const before = Date.now();
  const answer = await servers.ask(address, ['TIME']).catch(() => undefined);
  if (!Array.isArray(answer)) return undefined;
  const [seconds, micros] = answer.map(Number);
  return Math.round((before + Date.now()) / 2 - (seconds! * 1000 + micros! / 1000));
}

async function readSetting(servers: Servers, address: Address, name: string): Promise<string | undefined> {
  const answer = await servers.ask(address, ['CONFIG', 'GET', name]).catch(() => []);
  const [, value] = answer as (string | undefined)[];
  return value;
}

function problemsOf({ info, save }: NodeState, { durability, replicas }: RedisSettings): string[] {
  const problems: string[] = [];
  const policy = info.get('maxmemory_policy');
  if (info.get('aof_enabled') === '0') {
    problems.push(
      save === ''
        ? 'the server keeps nothing on disk: all is lost when it stops. Set appendonly yes'
        : 'the server has no append-only file: when it stops, what it wrote since its last snapshot is lost. Set appendonly yes',
    );
  }
  if (policy !== undefined && policy !== 'noeviction' && Number(info.get('maxmemory')) > 0) {
    problems.push(
      `the server throws keys away when its memory is full (${policy}): set maxmemory-policy noeviction`,
    );
  }
  if (info.get('aof_last_write_status') === 'err')
    problems.push('the server can not write its append-only file');
  const connected = Number(info.get('connected_slaves') ?? replicas);
  if (durability === 'replicated' && connected < replicas) {
    problems.push(`a master has ${connected} of the ${replicas} replicas that durability 'replicated' needs`);
  }
  return problems;
}

function factsOf(nodes: readonly NodeState[]): Record<string, string | number> {
  const [first] = nodes;
  const told = (name: string) => first?.info.get(name) ?? 'unknown';
  const bytes = nodes.map(({ info }) => Number(info.get('used_memory') ?? Number.NaN));
  const used = bytes.reduce((sum, one) => sum + one, 0);
  const aof = told('aof_enabled');
  return {
    server: first?.info.get('server_name') ?? 'redis',
    version: first?.info.get('valkey_version') ?? told('redis_version'),
    role: told('role'),
    masters: nodes.length,
    usedMemoryBytes: Number.isNaN(used) ? 'unknown' : used,
    appendOnlyFile: aof === 'unknown' ? aof : aof === '1' ? 'on' : 'off',
    maxMemoryBytes: Number(told('maxmemory')) || 0,
    evictionPolicy: told('maxmemory_policy'),
    replicas: told('connected_slaves'),
    ...(first?.clockSkewMs !== undefined && { clockSkewMs: first.clockSkewMs }),
  };
}
