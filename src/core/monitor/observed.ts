import type { Meter as OtelMeter } from '@opentelemetry/api';
import { COUNTERS, GAUGES, type Labels, type Metric } from './figures.ts';
import type { Meter } from './meter.ts';
import type { MonitorSnapshot } from './snapshot.ts';

/**
 * Lets OpenTelemetry's readers have what is told to Prometheus, each time that they collect. Nothing happens where no SDK
 * for metrics is registered.
 * @returns ends it
 */
export function observe(
  otel: OtelMeter,
  { meter, snapshot }: { meter: Meter; snapshot(): Promise<MonitorSnapshot> },
): () => void {
  const options = ({ unit, help }: Metric) => ({ description: help, ...(unit && { unit }) });
  const observed = [
    ...GAUGES.map((metric) => [metric, otel.createObservableGauge(metric.name, options(metric))] as const),
    ...COUNTERS.map(
      (metric) => [metric, otel.createObservableCounter(metric.name, options(metric))] as const,
    ),
  ];
  const args: Parameters<OtelMeter['addBatchObservableCallback']> = [
    async (result) => {
      const now = await snapshot();
      for (const [{ read }, instrument] of observed)
        for (const { labels, value } of read(now, meter))
          if (value !== undefined) result.observe(instrument, value, attributesOf(labels));
    },
    observed.map(([, instrument]) => instrument),
  ];
  otel.addBatchObservableCallback(...args);
  return () => otel.removeBatchObservableCallback(...args);
}

function attributesOf(labels: Labels = {}): Labels {
  const named = ([label, value]: [string, string]) => [
    label === 'code' ? 'error.type' : `holdfast.${label}`,
    value,
  ];
  return Object.fromEntries(Object.entries(labels).map(named));
}
