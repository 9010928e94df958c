import type { Access, NodeAddress } from './options.ts';

const SLOTS = 16_384;

/** A node as text: `host:port`. */
export type Address = string;

/** Which node has which slot. Outside of a cluster, one node has them all. */
export class Topology {
  readonly cluster: boolean;
  readonly #seeds: readonly Address[];
  #owners: (Address | undefined)[];
  /** Every node that was heard of. */
  #known: Set<Address>;

  constructor({ cluster, nodes }: Access) {
    this.cluster = cluster;
    this.#seeds = nodes.map(addressOf);
    this.#known = new Set(this.#seeds);
    this.#owners = cluster ? [] : Array.from({ length: SLOTS }, () => this.#seeds[0]);
  }

  /** Undefined where it is not known. */
  owner(slot: number): Address | undefined {
    return this.#owners[slot];
  }

  /** The nodes that have slots. */
  get masters(): Address[] {
    return [...new Set(this.#owners.filter((owner) => owner !== undefined))];
  }

  /** Whom to ask where slots are: some of all there are, so that a dead one among them does not matter. */
  get witnesses(): Address[] {
    return [...new Set([...this.#seeds, ...this.masters, ...this.#known])].slice(0, 8);
  }

  move(slot: number, owner: Address): void {
    if (!this.cluster) return;
    this.#owners[slot] = owner;
    this.#known.add(owner);
  }

  /** Takes in what `CLUSTER SLOTS` answered; a node that does not know its own name has the one it was asked by. */
  learn(answer: unknown, asked: Address): void {
    const owners: (Address | undefined)[] = [];
    const known = new Set<Address>();
    for (const [start, end, ...nodes] of answer as [number, number, ...[string | null, number][]][]) {
      const addresses = nodes.map(([host, port]) =>
        addressOf({ host: host || parseAddress(asked).host, port }),
      );
      for (const address of addresses) known.add(address);
      for (let slot = start; slot <= end; slot++) owners[slot] = addresses[0];
    }
    if (known.size === 0) return;
    this.#owners = owners;
    this.#known = known;
  }
}

function addressOf({ host, port }: NodeAddress): Address {
  return `${host}:${port}`;
}

export function parseAddress(address: Address): NodeAddress {
  const cut = address.lastIndexOf(':');
  return { host: address.slice(0, cut), port: Number(address.slice(cut + 1)) };
}
