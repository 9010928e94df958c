import type { Store } from '../store.ts';
import type { CallObserver } from './instrument.ts';
import { instrumented } from './instrumented-store.ts';
import { Meter } from './meter.ts';
import { ProcessWatch } from './process.ts';
import { Telemetry } from './telemetry.ts';

/** What watches an engine with all its tenants: one store, one set of counts. */
export class Instruments {
  /** The store as services are given it: watched. */
  readonly store: Store;
  /** The store itself, for the monitor's own reads. */
  readonly bare: Store;
  readonly meter = new Meter();
  readonly telemetry: Telemetry;
  readonly process = new ProcessWatch().start();
  /** For `instrument`. */
  readonly observers: readonly CallObserver[];

  constructor(store: Store) {
    this.bare = store;
    this.telemetry = new Telemetry(() => store.name);
    this.store = instrumented(store, this.meter, this.telemetry.onStore);
    this.observers = [this.telemetry.onCall];
  }

  close(): void {
    this.process.stop();
    this.meter[Symbol.dispose]();
  }
}
