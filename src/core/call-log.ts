import type { EngineLog } from './logger.ts';
import type { CallObserver } from './monitor/instrument.ts';

/** Calls that are events: what is told of them when they went well. Of the others only debug tells. */
const events: Readonly<Record<string, string>> = {
  'sessions.delete': 'session deleted',
  'sessions.fork': 'session forked',
  'sessions.sweep': 'sweep done',
  'memory.consolidate': 'memories consolidated',
  'window.undo': 'compaction undone',
};

/** Tells the log of calls: by their names and ids, how long they took and how they ended. */
export function callLog(log: EngineLog): CallObserver {
  return (service, verb) => {
    if (!log.isOn) return undefined;
    const event = events[`${service}.${verb}`];
    return {
      // Asked at each call: who looks into something raises the level of a process that runs.
      isOn: () => event !== undefined || log.tellsCalls,
      ended({ ids, durationMs, outcome }) {
        const ms = Math.round(durationMs * 10) / 10;
        if (event !== undefined && outcome === 'ok') log.info({ ...ids, ms }, event);
        else if (log.tellsCalls) log.debug({ call: `${service}.${verb}`, ...ids, ms, outcome }, 'call');
      },
    };
  };
}
