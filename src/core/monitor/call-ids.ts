/** Which arguments of which calls are ids. What is not listed here is never told to anybody who watches. */

/** The ids that a call was made with. */
export interface CallIds {
  readonly sessionId?: string;
  readonly userId?: string;
  readonly channel?: string;
  readonly messageId?: string;
  readonly memoryId?: string;
  readonly taskId?: string;
  readonly tool?: string;
}

type Name = keyof CallIds;

/** Arguments by their place: an id, or an object with fields that are ids, by the field's name. */
type Places = readonly (Name | Readonly<Record<string, Name>> | undefined)[];

const scope = { sessionId: 'sessionId', userId: 'userId' } as const;
const inSession: Places = ['sessionId', { channel: 'channel' }];
const ofMessage: Places = ['sessionId', 'messageId', { channel: 'channel' }];
/** What a task is opened with, and a task itself. */
const task = { ...scope, id: 'taskId' } as const;
const owner: Places = ['memoryId', scope];

/** By service and verb; `*` is for all verbs of the service that are not named. */
const table: Readonly<Record<string, Readonly<Record<string, Places>>>> = {
  sessions: {
    create: [{ id: 'sessionId', userId: 'userId' }],
    getOrCreate: [{ id: 'sessionId', userId: 'userId' }],
    list: [{ userId: 'userId' }],
    sweep: [],
    '*': ['sessionId'],
  },
  leases: { '*': ['sessionId'] },
  messages: {
    append: ['sessionId', undefined, { channel: 'channel' }],
    get: ofMessage,
    edit: ['sessionId', 'messageId', undefined, { channel: 'channel' }],
    readOffloaded: ['sessionId', undefined, { channel: 'channel' }],
    search: [undefined, scope],
    settled: [],
    '*': inSession,
  },
  channels: {
    open: ['sessionId', { id: 'channel' }],
    list: ['sessionId'],
    '*': ['sessionId', 'channel'],
  },
  state: { '*': ['sessionId'] },
  events: { subscribe: [{ sessionId: 'sessionId' }] },
  window: { settled: [], '*': inSession },
  memory: {
    get: owner,
    delete: owner,
    update: ['memoryId', undefined, scope],
    search: [undefined, scope],
    searchByTags: [undefined, scope],
    extract: ['sessionId'],
    settled: [],
    sweep: [],
    '*': [scope],
  },
  tasks: {
    open: [task],
    run: [task],
    get: ['taskId'],
    addUpdate: ['taskId'],
    delete: ['taskId'],
    list: [scope],
    usage: [{ ...scope, taskId: 'taskId' }],
    checkHealth: [task],
    performance: [task],
    record: ['sessionId', { taskId: 'taskId' }],
    timeline: ['sessionId', { taskId: 'taskId' }],
  },
  tools: {
    register: [{ name: 'tool' }],
    unregister: ['tool'],
    get: ['tool'],
    execute: ['tool', undefined, scope],
    readResult: ['sessionId'],
  },
};

/** The longest that an id may be: a longer text is none, whatever it was passed as. */
const MAX_ID = 256;

/** Reads the ids of a call from its arguments. */
export type ReadIds = (args: readonly unknown[]) => CallIds;

/** By service and verb: the views of all tenants share them. */
const readers = new Map<string, ReadIds>();

/** How the ids of a call are read from its arguments. Anything but a string of an id's length is left out. */
export function idsOf(service: string, verb: string): ReadIds {
  const name = `${service}.${verb}`;
  const known = readers.get(name) ?? readerOf(service, verb);
  readers.set(name, known);
  return known;
}

function readerOf(service: string, verb: string): ReadIds {
  const verbs = table[service];
  const places = verbs?.[verb] ?? verbs?.['*'] ?? [];
  const reads = places.flatMap((place, at): [number, string | undefined, Name][] => {
    if (place === undefined) return [];
    if (typeof place === 'string') return [[at, undefined, place]];
    return Object.entries(place).map(([field, name]) => [at, field, name]);
  });
  return (args) => {
    const ids: { -readonly [N in Name]?: string } = {};
    for (const [at, field, name] of reads) {
      const value = field === undefined ? args[at] : fieldOf(args[at], field);
      if (typeof value === 'string' && value.length <= MAX_ID) ids[name] = value;
    }
    return ids;
  };
}

/** Whoever passes an object whose fields throw hears of it from the service. */
function fieldOf(value: unknown, field: string): unknown {
  try {
    return (value as Record<string, unknown> | undefined | null)?.[field];
  } catch {
    return undefined;
  }
}
