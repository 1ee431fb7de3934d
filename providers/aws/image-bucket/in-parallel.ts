/** Requests under way at the same time. */
const AT_ONCE = 32;

/** Does all of it, several at once; results in order. The first failure is thrown when all that were under way have ended. */
export async function inParallel<T, U>(
  items: readonly T[],
  work: (item: T) => Promise<U>,
  atOnce = AT_ONCE,
): Promise<U[]> {
  const results = new Array<U>(items.length);
  let next = 0;
  let failure: { readonly error: unknown } | undefined;
  const worker = async () => {
    while (next < items.length && !failure) {
      const at = next++;
      try {
        results[at] = await work(items[at]);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
  if (failure) throw failure.error;
  return results;
}
