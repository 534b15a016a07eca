/** Looks again and again until what is looked at is there, for some seconds at most; answers the first that was. */
export async function until<T>(look: () => Promise<T | undefined>, seconds = 5): Promise<T> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (performance.now() > deadline) throw new Error(`It did not come about within ${seconds} s`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
