import type { CommitGroups, Store } from '../store.ts';
import type { Meter } from './meter.ts';
import type { Series } from './series.ts';
import type { CallSummary, GroupSummary, Rates, StoreSummary } from './snapshot.ts';

/** Each series as it is told, by name. */
export function summaries(all: ReadonlyMap<string, Series>): Record<string, CallSummary> {
  const sorted = [...all].filter(([, { started }]) => started > 0).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    sorted.map(([name, series]) => [
      name,
      { ...series.latency.summary(), count: series.started, outcomes: series.outcomes() },
    ]),
  );
}

export function rates({ rates }: Meter): Rates {
  return {
    callsPerSecond: rates.perSecond('calls'),
    faultsPerSecond: rates.perSecond('faults'),
    commitsPerSecond: rates.perSecond('commits'),
    messagesPerSecond: rates.perSecond('messages'),
  };
}

export function storeSummary({ name, groups }: Store, { store, batchOperations }: Meter): StoreSummary {
  const { operations, largest } = batchOperations;
  const batches = store.get('commit')?.started ?? 0;
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
