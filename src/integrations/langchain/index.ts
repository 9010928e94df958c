/** `holdfast/langchain`: tools of LangChain as tools of Holdfast, and the other way round. */
export { fromLangChainTool, type LangChainTool } from './from.ts';
export { type ToLangChainOptions, toLangChainTools } from './to.ts';
