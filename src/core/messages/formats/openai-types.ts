/** The types of OpenAI's chat messages. */

export type OpenAiContentPart =
  | { type: 'text'; text: string }
  | { type: 'refusal'; refusal: string }
  | { type: 'image_url'; image_url: { url: string; detail?: 'auto' | 'low' | 'high' } }
  | { type: 'input_audio'; input_audio: { data: string; format: 'wav' | 'mp3' } }
  | { type: 'file'; file: { file_data?: string; file_id?: string; filename?: string } };

export type OpenAiText = Extract<OpenAiContentPart, { type: 'text' }>;
export type OpenAiAssistantPart = Extract<OpenAiContentPart, { type: 'text' | 'refusal' }>;

export type OpenAiToolCall =
  | { id: string; type: 'function'; function: { name: string; arguments: string } }
  | { id: string; type: 'custom'; custom: { name: string; input: string } };

/** An OpenAI chat message, as `chat.completions.create` takes it. Unknown fields come along at run time. */
export type OpenAiMessage =
  | { role: 'system' | 'developer'; content: string | OpenAiText[]; name?: string }
  | { role: 'user'; content: string | Exclude<OpenAiContentPart, { type: 'refusal' }>[]; name?: string }
  | {
      role: 'assistant';
      content?: string | OpenAiAssistantPart[] | null;
      name?: string;
      refusal?: string | null;
      tool_calls?: OpenAiToolCall[];
      function_call?: { name: string; arguments: string } | null;
      audio?: { id: string } | null;
    }
  | { role: 'tool'; tool_call_id: string; content: string | OpenAiText[]; name?: string }
  | { role: 'function'; name: string; content: string | null };
