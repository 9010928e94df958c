/** Settles the settings: which layer each value comes from, and what is wrong with any of them. */
import type { z } from 'zod';
import { type AliasNote, type AliasReading, readAliases } from './config-aliases.ts';
import { ConfigError, type InputIssue } from './errors.ts';
import { kindOf } from './ids.ts';
import { inputIssues } from './input.ts';
import { type Config, type SettingName, settings } from './settings.ts';
import { nearest } from './suggest.ts';

/** Where a value came from. `name` is what to look for: `--port`, `HOLDFAST_PORT`, the file's path. */
export interface ConfigSource {
  from: 'option' | 'environment' | 'file' | 'default';
  name: string;
}

/** The layers of configuration, the strongest first. Values of options and of the environment may be text. */
export interface ConfigInput {
  options?: Readonly<Record<string, unknown>>;
  /** `HOLDFAST_…` variables, and those of {@link aliases}; an empty one counts as absent. */
  env?: Readonly<Record<string, string | undefined>>;
  /** What the config file holds, parsed. */
  file?: { readonly path: string; readonly value: unknown } | undefined;
  /** Judges URLs, which are known to no one in core. Throws ConfigError. */
  urls?: Readonly<Partial<Record<'store' | 'fallback', (url: string) => void>>>;
}

export interface ResolvedConfig {
  config: Config;
  sources: Record<SettingName, ConfigSource>;
  /** What became of each variable of a similar system that is set. */
  aliases: AliasNote[];
}

/** Names the config file. Not a setting: it says where settings are. */
export const CONFIG_FILE_VARIABLE = 'HOLDFAST_CONFIG';

const names = Object.keys(settings) as SettingName[];

/** One value of one layer. */
interface Given {
  name: SettingName;
  value: unknown;
  source: ConfigSource;
  /** How a problem names the place. */
  place: string;
}

/**
 * Settles every setting: options beat the environment, which beats the file, which beats the variables of similar
 * systems, which beat the defaults.
 * @throws ConfigError with all problems of all layers, each with its place; unknown names get the nearest known one
 */
export function resolveConfig({ options = {}, env = {}, file, urls = {} }: ConfigInput): ResolvedConfig {
  const issues: InputIssue[] = [];
  const layers = [fromFile(file, issues), fromEnvironment(env, issues), fromOptions(options, issues)];
  const given = layers.flat();
  const { values, notes } = fromAliases(readAliases(env), given, urls, issues);
  const config: Record<string, unknown> = {};
  const places: Partial<Record<SettingName, string>> = {};
  const sources: Record<string, ConfigSource> = {};
  for (const name of names) {
    config[name] = settings[name].default;
    sources[name] = { from: 'default', name: 'default' };
  }
  for (const { name, value, source } of values) {
    config[name] = value;
    sources[name] = source;
  }
  // A value that a stronger layer overrides is judged all the same: it is wrong where it stands.
  for (const one of given) {
    const { name, source, place } = one;
    const judged = judge(one, urls);
    issues.push(...judged.issues);
    config[name] = judged.value;
    places[name] = place;
    sources[name] = source;
  }
  issues.push(...waterIssues(config as Config, places));
  if (issues.length > 0) throw new ConfigError(issues);
  return {
    config: config as Config,
    sources: sources as Record<SettingName, ConfigSource>,
    aliases: notes,
  };
}

/** What is wrong with a value, and what it is as its schema has it. */
function judge(
  { name, value, place }: Given,
  urls: NonNullable<ConfigInput['urls']>,
): { value?: unknown; issues: InputIssue[] } {
  const { schema } = settings[name];
  if (Number.isNaN(value))
    return { issues: [{ path: place, message: 'expected number, got text that is no number' }] };
  const parsed = (schema as z.ZodType).safeParse(value);
  if (parsed.error)
    return { issues: inputIssues(parsed.error, value, schema).map((issue) => at(place, issue)) };
  const isUrl = name === 'store' || name === 'fallback';
  return {
    value: parsed.data,
    issues: isUrl ? urlIssues(urls[name], parsed.data as string, place) : [],
  };
}

/**
 * The values of similar systems' variables that count. What another program may have set is no reason to stop: what
 * can't be read is told, and left out. But for the store it is a problem where nothing stronger names one: what somebody
 * meant to keep there must not go elsewhere.
 */
function fromAliases(
  reading: AliasReading,
  stronger: readonly Given[],
  urls: NonNullable<ConfigInput['urls']>,
  issues: InputIssue[],
): { values: Given[]; notes: AliasNote[] } {
  const notes = [...reading.notes];
  const winners = new Map(stronger.map(({ name, source }) => [name, source]));
  const problems = reading.problems.map(({ variable, ...problem }) => ({
    variables: [variable],
    ...problem,
  }));
  const values = reading.values.flatMap(({ name, value, variables }): Given[] => {
    if (
      problems.some(
        (problem) => problem.name === name && problem.variables.some((one) => variables.includes(one)),
      )
    )
      return [];
    const place = variables.join(', ');
    const given: Given = { name, value, source: { from: 'environment', name: place }, place };
    const winner = winners.get(name);
    const [issue] = [...judge(given, urls).issues, ...(winner ? [] : lowWaterIssues(given, stronger))];
    if (issue) problems.push({ name, variables: [...variables], message: issue.message });
    if (issue) return [];
    const message = winner ? `does not count: ${winner.name} says ${name}` : `is ${name}`;
    for (const variable of variables) notes.push({ variable, used: !winner, warning: false, message });
    return winner ? [] : [given];
  });
  for (const { name, variables, message } of problems) {
    if (name === 'store' && !winners.has('store')) issues.push({ path: variables.join(', '), message });
    else
      for (const variable of variables) {
        notes.push({ variable, used: false, warning: true, message: `does not count: ${message}` });
      }
  }
  return { values, notes };
}

/** An alias alone must not put the marks the wrong way round. */
function lowWaterIssues({ name, value, place }: Given, stronger: readonly Given[]): InputIssue[] {
  if (name !== 'lowWater') return [];
  const highWater = stronger.findLast((one) => one.name === 'highWater')?.value ?? settings.highWater.default;
  return waterIssues({ lowWater: value, highWater } as Config, { lowWater: place });
}

function waterIssues(
  { lowWater, highWater }: Config,
  places: Partial<Record<SettingName, string>>,
): InputIssue[] {
  if (!(lowWater >= highWater)) return [];
  return places.lowWater !== undefined
    ? [{ path: places.lowWater, message: `must be below highWater, which is ${highWater}` }]
    : [{ path: places.highWater!, message: `must be above lowWater, which is ${lowWater}` }];
}

function urlIssues(check: ((url: string) => void) | undefined, url: string, place: string): InputIssue[] {
  try {
    check?.(url);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return [{ path: place, message: `${error.issues[0]!.message}. ${error.hint ?? ''}`.trim() }];
  }
}

function fromOptions(options: Readonly<Record<string, unknown>>, issues: InputIssue[]): Given[] {
  return Object.entries(options).flatMap(([key, value]) => {
    if (value === undefined) return [];
    const place = optionName(key);
    const name = known(key, names, place, issues);
    return name ? [{ name, value: typed(name, value), source: { from: 'option', name: place }, place }] : [];
  });
}

function fromEnvironment(env: Readonly<Record<string, string | undefined>>, issues: InputIssue[]): Given[] {
  const byVariable = new Map(names.map((name) => [settings[name].env, name]));
  const variables = [...byVariable.keys(), CONFIG_FILE_VARIABLE];
  return Object.entries(env).flatMap(([variable, text]): Given[] => {
    if (!variable.startsWith('HOLDFAST_') || text === undefined || text === '') return [];
    if (variable === CONFIG_FILE_VARIABLE || !known(variable, variables, variable, issues)) return [];
    const name = byVariable.get(variable)!;
    const source = { from: 'environment', name: variable } as const;
    return [{ name, value: typed(name, text), source, place: variable }];
  });
}

function fromFile(file: ConfigInput['file'], issues: InputIssue[]): Given[] {
  if (!file) return [];
  const { path, value: content } = file;
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    issues.push({ path, message: `expected an object, got ${kindOf(content)}` });
    return [];
  }
  return Object.entries(content).flatMap(([key, value]) => {
    const place = `${path}: ${key}`;
    const name = known(key, names, place, issues);
    return name ? [{ name, value, source: { from: 'file', name: path }, place }] : [];
  });
}

function known<T extends string>(
  name: string,
  all: readonly T[],
  place: string,
  issues: InputIssue[],
): T | undefined {
  if ((all as readonly string[]).includes(name)) return name as T;
  const near = nearest(name, all);
  const help = near ? `, did you mean ${near}?` : `; known are ${all.join(', ')}`;
  issues.push({ path: place, message: `is unknown${help}` });
  return undefined;
}

/** Options and the environment are text: numbers, true and false are read from it; NaN is text that is no number. */
function typed(name: SettingName, value: unknown): unknown {
  const kind = typeof settings[name].default;
  if (kind === 'boolean' && (value === 'true' || value === 'false')) return value === 'true';
  if (kind !== 'number' || typeof value !== 'string') return value;
  const number = value.trim() === '' ? Number.NaN : Number(value);
  return Number.isFinite(number) ? number : Number.NaN;
}

function at(place: string, { path, message }: InputIssue): InputIssue {
  return { path: path ? `${place}.${path}` : place, message };
}

/** `lockTimeoutMs` → `--lock-timeout-ms` */
function optionName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
