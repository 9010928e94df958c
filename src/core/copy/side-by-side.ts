/**
 * Runs a task for each item, so many at once. After a failure no new one is begun, and those under way are waited for.
 * @throws the first failure
 */
export async function sideBySide<T>(
  items: Iterable<T>,
  width: number,
  task: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items[Symbol.iterator]();
  let failure: { error: unknown } | undefined;
  const work = async () => {
    for (let next = rest.next(); !next.done && !failure; next = rest.next()) {
      try {
        await task(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: width }, work));
  if (failure) throw failure.error;
}
