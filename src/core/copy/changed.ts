import type { Change, ChangeOperation, Partition } from '../store.ts';

/** What of a partition may differ from its copy. */
export interface Changed {
  readonly partition: Partition;
  /** It was dropped: the copy is of what came before. */
  dropped: boolean;
  /** Nothing came after the drop. */
  gone: boolean;
  /** Kinds of records that were written or deleted. */
  readonly kinds: Set<string>;
  /** For each log that was changed, the first seq at which it may differ. Its beginning is where its bounds say. */
  readonly logs: Map<string, number>;
  /** Set where it was changed. */
  expiry: number | null | undefined;
}

/** Sums changes up by partition. */
export function changedPartitions(changes: readonly Change[]): Changed[] {
  const all = new Map<string, Changed>();
  for (const { partition, operations } of changes) {
    const key = JSON.stringify([partition.tenant, partition.type, partition.id]);
    const changed = all.get(key) ?? unchanged(partition);
    all.set(key, changed);
    for (const operation of operations) note(changed, operation);
  }
  return [...all.values()];
}

/** The greatest version of a record that changes tell of. */
export function newestVersion(changes: readonly Change[]): number {
  const versions = changes.flatMap(({ operations }) =>
    operations.map((operation) => (operation.op === 'put' || operation.op === 'add' ? operation.version : 0)),
  );
  return Math.max(0, ...versions);
}

function unchanged(partition: Partition): Changed {
  return { partition, dropped: false, gone: false, kinds: new Set(), logs: new Map(), expiry: undefined };
}

function note(changed: Changed, operation: ChangeOperation): void {
  changed.gone = operation.op === 'drop';
  switch (operation.op) {
    case 'put':
    case 'add':
    case 'delete':
      changed.kinds.add(operation.kind);
      return;
    case 'append':
      noteLog(changed, operation.log, operation.firstSeq);
      return;
    case 'rewrite':
      noteLog(changed, operation.log, operation.seq);
      return;
    case 'truncate':
      noteLog(changed, operation.log, operation.lastSeq + 1);
      return;
    case 'expire':
      changed.expiry = operation.at;
      return;
    case 'drop':
      changed.dropped = true;
      changed.expiry = undefined;
  }
}

function noteLog({ logs }: Changed, log: string, seq: number): void {
  logs.set(log, Math.min(seq, logs.get(log) ?? seq));
}
