import type { CommitGroups, Store } from '../store.ts';
import type { Meter, Series } from './meter.ts';
import type { CallSummary, GroupSummary, Rates, StoreSummary } from './snapshot.ts';

/** Each series as it is told, by name. */
export function summaries(all: ReadonlyMap<string, Series>): Record<string, CallSummary> {
  const sorted = [...all].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    sorted.map(([name, { latency, outcomes }]) => [
      name,
      { ...latency.summary(), outcomes: Object.fromEntries(outcomes) },
    ]),
  );
}

export function rates({ rates: { calls, faults, commits, messages } }: Meter): Rates {
  return {
    callsPerSecond: calls.perSecond(),
    faultsPerSecond: faults.perSecond(),
    commitsPerSecond: commits.perSecond(),
    messagesPerSecond: messages.perSecond(),
  };
}

export function storeSummary({ name, groups }: Store, { store, batchOperations }: Meter): StoreSummary {
  const { batches, operations, largest } = batchOperations;
  return {
    name,
    calls: summaries(store),
    operations: { batches, mean: batches === 0 ? 0 : operations / batches, largest },
    ...(groups && { groups: groupSummary(groups) }),
  };
}

function groupSummary({ groups, batches, largest, sizes }: CommitGroups): GroupSummary {
  return {
    groups,
    meanBatches: groups === 0 ? 0 : batches / groups,
    largestBatches: largest,
    sizes: sizes.map((count, power) => ({
      ...(power < sizes.length - 1 && { upTo: 2 ** power }),
      groups: count,
    })),
  };
}
