/** Runs something while a variable is set in this process. */
export async function withSecret(name: string, body: () => Promise<void>): Promise<void> {
  process.env[name] = 'hush';
  try {
    await body();
  } finally {
    delete process.env[name];
  }
}
