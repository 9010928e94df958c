/** `holdfast/ai-sdk`: tools of the AI SDK as tools of Holdfast, and the other way round. */
export { type AiSdkOverrides, fromAiSdkTool, fromAiSdkTools } from './from.ts';
export { type ToAiSdkOptions, toAiSdkTools } from './to.ts';
