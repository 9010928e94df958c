/** The full report of `holdfast doctor`, for people. */
import type { HealthCheck } from '../core/health/check.ts';
import type { HealthDiagnosis } from '../core/health/health.ts';
import type { FullReport } from './full-report.ts';
import type { Output } from './output.ts';
import { count, facts, safeLine, size, when } from './text.ts';

type Entry = [name: string, value: string];

export function reportLines(out: Output, report: FullReport): string[] {
  const { health, totals, packages, system, tasks, recommendations } = report;
  const sections: [head: string, lines: string[]][] = [
    ['SYSTEM', facts(systemFacts(system, health))],
    ['OPTIONAL PACKAGES', facts(Object.entries(packages))],
  ];
  if (totals) {
    const { sessions, activeSessions, messages, memories } = totals;
    const entries = Object.entries({ sessions, activeSessions, messages, memories });
    sections.push(['WHAT THERE IS', facts(entries.map(([name, value]): Entry => [name, count(value)]))]);
  }
  if (health) {
    sections.push([`HEALTH: ${health.status}`, health.checks.flatMap((check) => checkLines(out, check))]);
    sections.push([`STORE: ${health.store.name}`, facts(storeFacts(health))]);
    const consumers = (health.journal?.consumers ?? []).map(consumerFact);
    if (consumers.length > 0) sections.push(['WHO READS THE JOURNAL', facts(consumers)]);
  }
  if (tasks) {
    const { tasks: kept, bytes, unreadable, damaged } = tasks;
    const told: Entry[] = [
      ['tasks', `${count(kept)} (${size(bytes)})`],
      ['damaged', count(damaged.length)],
      ['unreadable', count(unreadable.length)],
    ];
    sections.push(['TASKS IN FILES', facts(told)]);
  }
  if (recommendations.length > 0) sections.push(['RECOMMENDED', recommendations]);
  return sections.flatMap(([head, lines]) => ['', out.style('bold', head), ...lines]);
}

function systemFacts(system: FullReport['system'], health: HealthDiagnosis | undefined): Entry[] {
  const { platform, arch, cpus, memoryBytes, freeMemoryBytes } = system;
  const rss = health?.process.memory.rssBytes;
  return [
    ['machine', `${platform} ${arch}, ${count(cpus)} cores`],
    ['memory', `${size(freeMemoryBytes)} of ${size(memoryBytes)} free`],
    ...(rss === undefined ? [] : [['this process', size(rss)] satisfies Entry]),
  ];
}

function checkLines(out: Output, { name, status, message, durationMs }: HealthCheck): string[] {
  const marks = {
    healthy: out.style('green', '✓'),
    degraded: out.style('yellow', '!'),
    unhealthy: out.style('red', '✗'),
  };
  return [`${marks[status]} ${safeLine(name).padEnd(10)}  ${safeLine(message)} (${durationMs} ms)`];
}

function storeFacts({ checks, store }: HealthDiagnosis): Entry[] {
  const told = checks.find(({ name }) => name === 'store')?.facts ?? {};
  const features = Object.entries(store.features).filter(([, has]) => has);
  return [
    ['features', features.map(([name]) => name).join(', ')],
    ...Object.entries(told).map(([name, value]): Entry => [name, safeLine(String(value))]),
  ];
}

function consumerFact(consumer: NonNullable<HealthDiagnosis['journal']>['consumers'][number]): Entry {
  const { name, tenant, behind, more, oldestAt, expired, building } = consumer;
  const who = name === '$search' ? 'the index' : `${safeLine(name)}${tenant ? ` (${safeLine(tenant)})` : ''}`;
  if (expired) return [who, 'stopped before what the journal still has'];
  const since = oldestAt === undefined ? '' : `, the oldest of ${when(oldestAt)}`;
  const state = building ? ', and is being built' : '';
  return [who, `${count(behind)}${more ? ' or more' : ''} changes not saved as handled${since}${state}`];
}
