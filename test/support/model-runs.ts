/** How often a model-based test plays, and with which seed: 200 plays unless MODEL_RUNS says otherwise; MODEL_SEED repeats a run. */
export function modelRuns(): { readonly numRuns: number; readonly seed: number } {
  const seed = Number(process.env['MODEL_SEED'] ?? Date.now() % 0x7fffffff);
  const numRuns = Number(process.env['MODEL_RUNS'] ?? 200);
  process.stderr.write(`model: ${numRuns} runs, MODEL_SEED=${seed}\n`);
  return { numRuns, seed };
}
