/** Turns rows into a report, and a report into a table. */
import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { join } from 'node:path';
import type { Report, Row, Target } from './types.ts';

/** A row with its verdict: `ok` is there where a target is. */
export function judge(row: Row): Row {
  const { case: name, value, unit, baseline, target } = row;
  const ratio = row.ratio ?? (baseline === undefined ? undefined : value / baseline);
  const measured = target?.of === 'value' ? value : (ratio ?? value);
  return {
    case: name,
    value,
    unit,
    ...(baseline !== undefined && { baseline }),
    ...(ratio !== undefined && { ratio }),
    ...(target && { target, ok: meets(measured, target) }),
  };
}

function meets(measured: number, target: Target): boolean {
  return 'atLeast' in target ? measured >= target.atLeast : measured <= target.atMost;
}

/** False when a row misses its target. */
export function passed(report: Report): boolean {
  return report.rows.every((row) => row.ok !== false);
}

export function machine(): Report['machine'] {
  const cpu = cpus()[0]?.model ?? 'unknown';
  return {
    cpu,
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    os: `${platform()} ${release()} ${arch()}`,
  };
}

export function ownVersions(): Record<string, string> {
  const manifest = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'));
  return { holdfast: manifest.version, node: process.versions.node };
}

/** A store's URL as it may be shown: without user name and password. */
export function withoutCredentials(url: string): string {
  return url.replace(/\/\/[^/@]*@/, '//');
}

/** The report for a person. */
export function table(report: Report): string {
  const head = ['case', 'value', 'baseline', 'ratio', 'target', ''];
  const lines = [head, ...report.rows.map(cells)];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const used = head.map((_, column) => lines.slice(1).some((line) => line[column] !== ''));
  const pad = (cell: string, column: number) =>
    column === 0 || column === 5 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
  const shown = lines.map((line) =>
    line
      .map(pad)
      .filter((_, column) => used[column])
      .join('  ')
      .trimEnd(),
  );
  const missed = report.rows.filter((row) => row.ok === false).length;
  const targets = report.rows.filter((row) => row.target).length;
  const verdict =
    targets === 0
      ? ''
      : missed === 0
        ? `, all ${targets} targets met`
        : `, ${missed} of ${targets} targets missed`;
  const versions = Object.entries(report.versions).map(([name, version]) => `${name} ${version}`);
  return [
    `${report.name}${report.store === null ? '' : ` on ${report.store}`}`,
    '',
    ...shown,
    '',
    `${versions.join(', ')}; ${report.machine.cores} × ${report.machine.cpu}`,
    `${(report.durationMs / 1000).toFixed(1)} s${verdict}`,
  ].join('\n');
}

function cells({ case: name, value, unit, baseline, ratio, target, ok }: Row): string[] {
  return [
    name,
    `${figure(value)} ${unit}`,
    baseline === undefined ? '' : figure(baseline),
    ratio === undefined ? '' : `${figure(ratio)} ×`,
    target ? bound(target) : '',
    ok === undefined ? '' : ok ? '✓' : '✗ missed',
  ];
}

function bound(target: Target): string {
  const limit = 'atLeast' in target ? `≥ ${figure(target.atLeast)}` : `≤ ${figure(target.atMost)}`;
  return target.of === 'value' ? `value ${limit}` : limit;
}

function figure(value: number): string {
  const digits = Math.abs(value) >= 100 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 };
  return value.toLocaleString('en-US', digits);
}
