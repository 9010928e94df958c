/** Results that are larger than they may be. */
import { cut } from '../cut.ts';
import { HoldfastError } from '../errors.ts';
import type { Json } from '../json.ts';
import { MAX_BYTES_A_UNIT, type Plain, plainOf } from './plain.ts';
import type { LargeResult, ToolSettings } from './tool.ts';

/** No result is offloaded that is larger (UTF-16 code units). */
const MAX_OFFLOADED = 64 * 1024 * 1024;

/** A result as it is handed out. */
export interface Shaped {
  value: Json;
  /** About how long it is as JSON (UTF-16 code units). */
  units: number;
  large?: LargeResult;
}

export interface ShapeOptions {
  maxResultBytes: number;
  onLargeResult: NonNullable<ToolSettings['onLargeResult']>;
  /**
   * Keeps a text; absent where there is nowhere to keep it.
   * @returns what stands for it, and its handle; undefined where it could not be kept
   */
  offload?: ((text: string) => Promise<{ marker: string; handle: string } | undefined>) | undefined;
}

/**
 * A tool's result as JSON, no larger than it may be. At once, unless it is offloaded. Reads no more of it than it must.
 * @throws HoldfastError: `result-too-large`, `tool-failed` for what is no JSON
 */
export function shaped(raw: unknown, options: ShapeOptions): Shaped | Promise<Shaped> {
  const { maxResultBytes, onLargeResult, offload } = options;
  const plain = plainOf(raw, maxResultBytes);
  if (fits(plain, maxResultBytes)) return { value: plain.value, units: plain.units };
  if (onLargeResult === 'refuse') throw tooLarge(maxResultBytes);
  if (onLargeResult === 'offload' && offload) return offloaded(raw, plain, options);
  return truncated(raw, plain, maxResultBytes);
}

function fits({ value, units, isCut }: Plain, maxBytes: number): boolean {
  if (isCut) return false;
  return units * MAX_BYTES_A_UNIT <= maxBytes || Buffer.byteLength(JSON.stringify(value)) <= maxBytes;
}

function truncated(raw: unknown, plain: Plain, maxBytes: number): Shaped {
  const text = typeof raw === 'string' ? raw : JSON.stringify(plain.value);
  const length = typeof raw === 'string' || !plain.isCut ? text.length : undefined;
  const head = headOf(text, maxBytes);
  const of = length === undefined ? '' : ` of ${length.toLocaleString('en-US')}`;
  const value = `${head}… [Cut off: these are the first ${head.length.toLocaleString('en-US')}${of} characters]`;
  return { value, units: value.length, large: length === undefined ? {} : { length } };
}

async function offloaded(
  raw: unknown,
  plain: Plain,
  { offload, maxResultBytes }: ShapeOptions,
): Promise<Shaped> {
  const text = typeof raw === 'string' ? raw : wholeText(raw);
  if (text.length > MAX_OFFLOADED) throw tooLarge(MAX_OFFLOADED);
  const kept = await offload!(text);
  if (!kept) return truncated(raw, plain, maxResultBytes);
  const { marker, handle } = kept;
  return { value: marker, units: marker.length, large: { length: text.length, handle } };
}

function wholeText(raw: unknown): string {
  const whole = plainOf(raw, MAX_OFFLOADED);
  if (whole.isCut) throw tooLarge(MAX_OFFLOADED);
  return JSON.stringify(whole.value);
}

/** As much of a text as has so many bytes. */
function headOf(text: string, maxBytes: number): string {
  const begin = cut(text, maxBytes);
  if (begin.length * 3 <= maxBytes) return begin;
  const { read } = new TextEncoder().encodeInto(begin, new Uint8Array(maxBytes));
  return begin.slice(0, read);
}

function tooLarge(limit: number): HoldfastError {
  return new HoldfastError('result-too-large', `the result is larger than ${limit} bytes`, {
    hint: 'Ask for less at once: a filter, a limit, a page.',
    details: { limit },
  });
}
