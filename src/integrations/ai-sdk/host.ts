import { MissingPackageError } from '../../core/errors.ts';

/** @throws MissingPackageError */
export async function loadSdk() {
  try {
    return await import('ai');
  } catch (error) {
    throw new MissingPackageError('ai', 'holdfast/ai-sdk', error);
  }
}
