/** Messages as they come from the two libraries, and stranger ones. */
import fc from 'fast-check';

export const text = fc.string({ unit: 'binary', maxLength: 20 });
export const word = fc.string({ minLength: 1, maxLength: 12 });
/** Written and read once: JSON keeps no `-0`. */
export const json = fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value)));
const hostileKey = fc.constantFrom(
  '__proto__',
  'constructor',
  'toString',
  '$bytes',
  '$url',
  '$$bytes',
  'wire',
  'set',
);

/** Objects with keys that mean something to JavaScript or to us. */
export const hostileObject = fc
  .array(fc.tuple(fc.oneof(hostileKey, word), json), { maxLength: 4 })
  .map((entries) => Object.fromEntries(entries));

export const bytes = fc.uint8Array({ maxLength: 12 });
export const url = fc.webUrl().map((href) => new URL(href));

/** Fields that mean something to one of the formats: not for random values. */
const known = new Set([
  ...[
    'role',
    'content',
    'name',
    'id',
    'seq',
    'priority',
    'pinned',
    'metadata',
    'createdAt',
    'providerOptions',
  ],
  ...['tool_calls', 'tool_call_id', 'function_call', 'refusal', 'audio'],
]);

/** Adds unknown fields by defining them: an own `__proto__` stays one. */
function withExtras<T extends object>(message: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.tuple(message, fc.option(hostileObject, { nil: {}, freq: 3 })).map(([base, extras]) => {
    const unknown = Object.entries(extras).filter(([key]) => !known.has(key));
    return Object.fromEntries([...Object.entries(base), ...unknown]) as T;
  });
}

const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
/** A record whose undefined fields are not there at all. */
const fields = (model: Record<string, fc.Arbitrary<unknown>>) =>
  fc
    .record(model)
    .map((record) => Object.fromEntries(Object.entries(record).filter(([, v]) => v !== undefined)));

const providerOptions = optional(fc.dictionary(word, hostileObject, { maxKeys: 2, noNullPrototype: true }));

const argumentsText = fc.oneof(
  hostileObject.map((value) => JSON.stringify(value)),
  hostileObject.map((value) => JSON.stringify(value, null, 1)),
  fc.constantFrom('', ' ', '{"a": 1.0}', '{"a":1e999}', '{"broken', 'null', '"text"', '{"a":1,"a":2}', '-0'),
  text,
);

const openAiText = fields({
  type: fc.constant('text'),
  text,
  prompt_cache_breakpoint: optional(hostileObject),
});
const openAiPart = fc.oneof(
  openAiText,
  fields({
    type: fc.constant('image_url'),
    image_url: fields({ url: text, detail: optional(fc.constant('low')), x: optional(json) }),
  }),
  fields({
    type: fc.constant('input_audio'),
    input_audio: fields({ data: text, format: fc.constantFrom('wav', 'mp3', 'x') }),
  }),
  fields({
    type: fc.constant('file'),
    file: fields({ file_data: optional(text), file_id: optional(word), filename: optional(text) }),
  }),
  fields({ type: fc.constant('video_url'), video_url: json }),
);
const refusalPart = fields({ type: fc.constant('refusal'), refusal: text });

const callFunction = fields({ name: word, arguments: argumentsText, strict: optional(json) });
const openAiCall = fc.oneof(
  fields({ id: text, type: fc.constant('function'), function: callFunction, index: optional(fc.nat()) }),
  fields({ id: word, type: fc.constant('custom'), custom: fields({ name: word, input: text }) }),
);
const name = optional(word);
const contentOf = (part: fc.Arbitrary<unknown>) => fc.oneof(text, fc.array(part, { maxLength: 3 }));

export const openAiMessage = withExtras(
  fc.oneof(
    fields({ role: fc.constantFrom('system', 'developer'), content: contentOf(openAiText), name }),
    fields({ role: fc.constant('user'), content: contentOf(openAiPart), name }),
    fields({
      role: fc.constant('assistant'),
      content: fc.oneof(contentOf(fc.oneof(openAiText, refusalPart)), fc.constantFrom(null, undefined)),
      name: optional(fc.oneof(word, fc.constant(null))),
      refusal: optional(fc.oneof(text, fc.constant(null))),
      audio: optional(fc.oneof(fc.constant({ id: 'audio_1' }), fc.constant(null))),
      tool_calls: optional(fc.array(openAiCall, { maxLength: 3 })),
      function_call: optional(fc.oneof(callFunction, fc.constant(null))),
    }),
    fields({ role: fc.constant('tool'), tool_call_id: text, content: contentOf(openAiText), name }),
    fields({ role: fc.constant('function'), name: word, content: fc.oneof(text, fc.constant(null)) }),
  ),
);

const fileData = fc.oneof(
  text,
  bytes,
  url,
  fields({ openai: word }),
  bytes.map((data) => ({ type: 'data', data })),
  url.map((href) => ({ type: 'url', url: href })),
);
const aiSdkText = fields({ type: fc.constant('text'), text, providerOptions });
const aiSdkFile = fields({
  type: fc.constant('file'),
  data: fileData,
  mediaType: fc.constantFrom('image/png', 'audio/wav', 'application/pdf'),
  filename: optional(text),
  providerOptions,
});
const aiSdkImage = fields({
  type: fc.constant('image'),
  image: fileData,
  mediaType: optional(text),
  providerOptions,
});
const unknownPart = fields({
  type: fc.constant('hologram'),
  wire: optional(json),
  nested: fc.oneof(json, bytes),
});
const aiSdkCall = fields({
  type: fc.constant('tool-call'),
  toolCallId: text,
  toolName: word,
  input: fc.oneof(hostileObject, json),
  providerExecuted: optional(fc.boolean()),
  providerOptions,
});
const output = fc.oneof(
  fields({ type: fc.constantFrom('text', 'error-text'), value: text }),
  fields({ type: fc.constantFrom('json', 'error-json'), value: fc.oneof(json, hostileObject) }),
  fields({ type: fc.constant('execution-denied'), reason: optional(text) }),
  fields({
    type: fc.constant('content'),
    value: fc.array(
      fc.oneof(aiSdkText, fields({ type: fc.constant('file-data'), data: text, mediaType: text })),
    ),
  }),
);
const aiSdkResult = fields({
  type: fc.constant('tool-result'),
  toolCallId: text,
  toolName: word,
  output,
  providerOptions,
});
const approval = fields({
  type: fc.constant('tool-approval-response'),
  approvalId: word,
  approved: fc.boolean(),
});
const reasoning = fields({ type: fc.constant('reasoning'), text, providerOptions });

export const aiSdkMessage = withExtras(
  fc.oneof(
    fields({ role: fc.constant('system'), content: text, providerOptions, name }),
    fields({
      role: fc.constant('user'),
      content: contentOf(fc.oneof(aiSdkText, aiSdkImage, aiSdkFile, unknownPart)),
      providerOptions,
      name,
    }),
    fields({
      role: fc.constant('assistant'),
      content: contentOf(fc.oneof(aiSdkText, reasoning, aiSdkFile, aiSdkCall, aiSdkResult, unknownPart)),
      providerOptions,
    }),
    fields({
      role: fc.constant('tool'),
      content: fc.array(fc.oneof(aiSdkResult, approval), { maxLength: 3 }),
      providerOptions,
    }),
  ),
);
