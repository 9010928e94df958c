import { MissingPackageError } from '../../core/errors.ts';

/** The parts of LangChain that are used. @throws MissingPackageError */
export async function loadLangChain() {
  try {
    const [{ DynamicStructuredTool }, { toJsonSchema }] = await Promise.all([
      import('@langchain/core/tools'),
      import('@langchain/core/utils/json_schema'),
    ]);
    return { DynamicStructuredTool, toJsonSchema };
  } catch (error) {
    throw new MissingPackageError('@langchain/core', 'holdfast/langchain', error);
  }
}
