import type { AppendEntry, IfVersion, Operation, Partition } from '../../core/store.ts';
import { bigintArray, booleanArray, doubleArray, intArray, textArray } from './arrays.ts';
import { CODES, KINDS } from './codes.ts';
import { type Mending, mendOf } from './mends.ts';
import type { Plan, Planned } from './waves.ts';

type Of<Op extends Operation['op']> = Operation & { op: Op };
type Name = string | null;
type Count = number | null;

/** Collects what a call says of its operations, column by column, as `commit_group` takes it. Places count from 1. */
export class Call {
  readonly #plan: Plan;
  /** The operations, as facts name them. */
  readonly operations: { operation: Operation; batch: number }[] = [];
  /** The batches, in the order in which they are done. */
  readonly batches: Planned[] = [];
  readonly #b = { partition: [] as number[], id: [] as Name[], makes: [] as boolean[] };
  readonly #o = { batch: [] as number[], code: [] as number[], head: [] as string[] };
  readonly #w: { kinds: number; ends: number[] }[] = [];
  readonly #r = {
    o: [] as number[],
    op: [] as number[],
    kind: [] as string[],
    id: [] as string[],
    if: [] as Count[],
    value: [] as Name[],
    version: [] as Count[],
    counter: [] as boolean[],
    indexed: [] as boolean[],
  };
  readonly #x = { r: [] as number[], name: [] as string[], key: [] as string[], order: [] as number[] };
  readonly #h = {
    partition: [] as number[],
    name: [] as string[],
    start: [] as Count[],
    count: [] as number[],
  };
  readonly #l = {
    o: [] as number[],
    h: [] as number[],
    if: [] as Count[],
    start: [] as Count[],
    from: [] as number[],
    to: [] as number[],
  };
  readonly #e = {
    l: [] as number[],
    offset: [] as number[],
    value: [] as string[],
    id: [] as Name[],
    same: [] as Count[],
    mark: [] as Name[],
    version: [] as Count[],
  };
  readonly #m = {
    o: [] as number[],
    op: [] as number[],
    log: [] as Name[],
    a: [] as Count[],
    b: [] as Count[],
    if: [] as Count[],
    value: [] as Name[],
    mark: [] as Name[],
    keep: [] as boolean[],
  };
  /** The logs that this wave appends to, by partition and name. */
  #heads = new Map<string, number>();
  #kinds = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
    for (const wave of plan.waves) {
      this.#heads = new Map();
      this.#kinds = 0;
      for (const planned of wave) this.#addBatch(planned);
      this.#endWave();
    }
  }

  /** The call's arguments after its locks. */
  values(): Buffer[] {
    const { partitions } = this.#plan;
    const names = (field: keyof Partition) => textArray(partitions.map((partition) => partition[field]));
    const ends = (at: number) => intArray(this.#w.map((wave) => wave.ends[at]!));
    const [b, o, r, x, h, l, e, m] = [this.#b, this.#o, this.#r, this.#x, this.#h, this.#l, this.#e, this.#m];
    return [
      ...[names('tenant'), names('type'), names('id')],
      ...[intArray(b.partition), textArray(b.id), booleanArray(b.makes)],
      ...[intArray(o.batch), intArray(o.code), textArray(o.head)],
      ...[intArray(this.#w.map((wave) => wave.kinds)), ...Array.from({ length: 8 }, (_, at) => ends(at))],
      ...[
        intArray(r.o),
        intArray(r.op),
        textArray(r.kind),
        textArray(r.id),
        bigintArray(r.if),
        textArray(r.value),
      ],
      ...[bigintArray(r.version), booleanArray(r.counter), booleanArray(r.indexed)],
      ...[intArray(x.r), textArray(x.name), textArray(x.key), doubleArray(x.order)],
      ...[intArray(h.partition), textArray(h.name), bigintArray(h.start), intArray(h.count)],
      ...[
        intArray(l.o),
        intArray(l.h),
        bigintArray(l.if),
        bigintArray(l.start),
        intArray(l.from),
        intArray(l.to),
      ],
      ...[intArray(e.l), intArray(e.offset), textArray(e.value), textArray(e.id), intArray(e.same)],
      ...[textArray(e.mark), intArray(e.version)],
      ...[
        intArray(m.o),
        intArray(m.op),
        textArray(m.log),
        bigintArray(m.a),
        bigintArray(m.b),
        bigintArray(m.if),
      ],
      ...[textArray(m.value), textArray(m.mark), booleanArray(m.keep)],
    ];
  }

  #addBatch(planned: Planned): void {
    const { batch, partition } = planned;
    const place = this.batches.push(planned);
    this.#b.partition.push(partition);
    this.#b.id.push(batch.id ?? null);
    this.#b.makes.push(batch.operations.some(makes));
    if (batch.id !== undefined) this.#kinds |= KINDS.ids;
    for (const operation of batch.operations) {
      const o = this.operations.push({ operation, batch: place });
      this.#o.batch.push(place);
      this.#o.code.push(CODES[operation.op]);
      this.#o.head.push(headOf(operation));
      this.#addOperation(operation, o, partition);
    }
  }

  #addOperation(operation: Operation, o: number, partition: number): void {
    switch (operation.op) {
      case 'check':
      case 'put':
      case 'add':
      case 'delete':
        this.#addRecord(operation, o);
        return;
      case 'append':
        this.#addAppend(operation, o, partition);
        return;
      default:
        this.#addMend(operation, o);
    }
  }

  #addRecord(operation: Of<'check' | 'put' | 'add' | 'delete'>, o: number): void {
    const r = this.#r;
    const place = r.o.push(o);
    const put = operation.op === 'put' ? operation : undefined;
    const ifVersion = operation.op === 'add' ? undefined : operation.ifVersion;
    const value = operation.op === 'add' ? JSON.stringify(operation.deltas) : (put?.value ?? null);
    r.op.push(CODES[operation.op]);
    r.kind.push(operation.kind);
    r.id.push(operation.id);
    r.if.push(conditionOf(ifVersion));
    r.value.push(value);
    r.version.push(put?.version ?? null);
    r.counter.push(operation.op === 'add' || put?.counter === true);
    r.indexed.push(put?.indexes !== undefined && put.indexes.length > 0);
    for (const { index, key, order } of put?.indexes ?? []) {
      this.#x.r.push(place);
      this.#x.name.push(index);
      this.#x.key.push(key);
      this.#x.order.push(order);
    }
    if (operation.op !== 'check') this.#kinds |= KINDS.writes;
    const judged = ifVersion !== undefined || operation.op === 'add' || put?.version !== undefined;
    if (judged) this.#kinds |= KINDS.conditions;
  }

  #addAppend(append: Of<'append'>, o: number, partition: number): void {
    const { log, entries } = append;
    const ifLastSeq = append.ifLastSeq ?? null;
    const startSeq = append.startSeq ?? null;
    const l = this.#l;
    const h = this.#head(partition, log, startSeq);
    const first = this.#e.l.length + 1;
    const place = l.o.push(o);
    l.h.push(h);
    l.if.push(ifLastSeq);
    l.start.push(startSeq);
    l.from.push(first);
    l.to.push(first + entries.length - 1);
    const firstOfId = new Map<string, number>();
    for (const entry of entries) this.#addEntry(entry, place, h, firstOfId);
    this.#kinds |= KINDS.appends;
    if (firstOfId.size > 0) this.#kinds |= KINDS.entryIds;
    if (ifLastSeq !== null || startSeq !== null) this.#kinds |= KINDS.ends;
  }

  #addEntry(
    { id, value, mark, version }: AppendEntry,
    l: number,
    h: number,
    firstOfId: Map<string, number>,
  ): void {
    const e = this.#e;
    const place = e.l.push(l);
    const same = id === undefined ? undefined : firstOfId.get(id);
    if (id !== undefined && same === undefined) firstOfId.set(id, place);
    e.offset.push(++this.#h.count[h - 1]!);
    e.value.push(value);
    e.id.push(id ?? null);
    e.same.push(same ?? null);
    e.mark.push(mark ?? null);
    e.version.push(version ?? null);
  }

  #head(partition: number, log: string, start: number | null): number {
    const key = `${partition}\0${log}`;
    const known = this.#heads.get(key);
    if (known) return known;
    const place = this.#h.partition.push(partition);
    this.#h.name.push(log);
    this.#h.start.push(start);
    this.#h.count.push(0);
    this.#heads.set(key, place);
    return place;
  }

  #addMend(operation: Mending, o: number): void {
    const m = this.#m;
    m.o.push(o);
    m.op.push(CODES[operation.op]);
    const { log, a, b, if: condition, value, mark } = mendOf(operation);
    m.log.push(log ?? null);
    m.a.push(a ?? null);
    m.b.push(b ?? null);
    m.if.push(condition ?? null);
    m.value.push(value ?? null);
    m.mark.push(mark ?? null);
    m.keep.push(mark === undefined);
    this.#kinds |= KINDS.mends;
  }

  #endWave(): void {
    const families = [
      this.#b.id,
      this.#o.batch,
      this.#r.o,
      this.#x.r,
      this.#h.name,
      this.#l.o,
      this.#e.l,
      this.#m.o,
    ];
    this.#w.push({ kinds: this.#kinds, ends: families.map((family) => family.length) });
  }
}

/** Whether an operation makes the partition that it finds missing. */
function makes({ op }: Operation): boolean {
  return op === 'put' || op === 'add' || op === 'append' || op === 'expire' || op === 'index';
}

export function conditionOf(ifVersion: IfVersion | undefined): number | null {
  if (ifVersion === 'absent') return -1;
  if (ifVersion === 'present') return -2;
  return ifVersion ?? null;
}

/** How the journal's line of an operation begins; the database adds the two numbers of its fact. */
function headOf(operation: Operation): string {
  switch (operation.op) {
    case 'append':
      return `["a",${JSON.stringify(operation.log)}`;
    case 'put':
    case 'add':
    case 'delete':
      return `["${operation.op}",${JSON.stringify(operation.kind)},${JSON.stringify(operation.id)}`;
    case 'rewrite':
      return `["rewrite",${JSON.stringify(operation.log)},${operation.seq}`;
    case 'truncate':
      return `["truncate",${JSON.stringify(operation.log)}`;
    case 'expire':
      return `["expire",${operation.at}`;
    case 'drop':
      return `["drop",${operation.ifExpiredAt === undefined ? 0 : 1}`;
    default:
      return '';
  }
}
