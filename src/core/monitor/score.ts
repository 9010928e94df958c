/** What the health score is made of. */
export interface HealthFacts {
  /** Whether the store could be read just now. */
  storeReadable: boolean;
  /** Calls of the last minute, and those of them that failed with what is no caller's mistake. */
  calls: number;
  faults: number;
  /** The 99th percentile of the last one to two minutes' commits (milliseconds); 0 where there were none. */
  commitP99Ms: number;
  /** Commits that were not answered yet, and jobs that wait. */
  queued: number;
  /** How far the journal's consumers and the text index are behind (milliseconds), the worse of them. */
  lagMs: number;
  /** The share of the memory that the process may hold, 0 to 1: of the heap or of all, the worse of them. */
  memoryShare: number;
  /** The 99th percentile of the event loop's delay (milliseconds). */
  eventLoopDelayMs: number;
}

export type PartName = 'store' | 'errors' | 'latency' | 'queue' | 'lag' | 'memory' | 'eventLoop';

/** One part of the score. */
export interface ScorePart {
  name: PartName;
  /** What it counts for; those of all parts make 100. */
  weight: number;
  /** 0 to 100. */
  score: number;
  /** What it was judged by, in `unit`. */
  value: number;
  unit: 'ratio' | 'ms' | 'count';
}

export interface Score {
  /** 0 to 100: the parts' mean by their weights, and no more than 50 where one of them is at 0. */
  score: number;
  parts: ScorePart[];
}

interface Rule {
  readonly name: PartName;
  readonly weight: number;
  readonly unit: ScorePart['unit'];
  /** Up to here all is well: 100. */
  readonly good: number;
  /** From here on nothing is: 0. Between the two it falls evenly. */
  readonly bad: number;
  value(facts: HealthFacts): number;
}

const RULES: readonly Rule[] = [
  { name: 'store', weight: 20, unit: 'ratio', good: 0, bad: 1, value: (f) => (f.storeReadable ? 0 : 1) },
  {
    name: 'errors',
    weight: 20,
    unit: 'ratio',
    good: 0.001,
    bad: 0.05,
    value: (f) => (f.calls === 0 ? 0 : f.faults / f.calls),
  },
  { name: 'latency', weight: 15, unit: 'ms', good: 100, bad: 2000, value: (f) => f.commitP99Ms },
  { name: 'queue', weight: 10, unit: 'count', good: 1000, bad: 10_000, value: (f) => f.queued },
  { name: 'lag', weight: 10, unit: 'ms', good: 120_000, bad: 3_600_000, value: (f) => f.lagMs },
  { name: 'memory', weight: 10, unit: 'ratio', good: 0.7, bad: 0.95, value: (f) => f.memoryShare },
  { name: 'eventLoop', weight: 15, unit: 'ms', good: 50, bad: 1000, value: (f) => f.eventLoopDelayMs },
];
/** Where one part has failed, the others make good for half of it at most. */
const MOST_WITH_A_FAILED_PART = 50;

/** Judges how healthy an engine is, each part by itself. */
export function scoreOf(facts: HealthFacts): Score {
  const parts = RULES.map(({ name, weight, unit, good, bad, value }): ScorePart => {
    const found = value(facts);
    const share = Math.min(1, Math.max(0, (bad - found) / (bad - good)));
    return { name, weight, score: Math.round(share * 100), value: found, unit };
  });
  const mean = parts.reduce((sum, { weight, score }) => sum + weight * score, 0) / 100;
  const failed = parts.some(({ score }) => score === 0);
  return { score: Math.round(failed ? Math.min(mean, MOST_WITH_A_FAILED_PART) : mean), parts };
}
