/** Why a start came to nothing, in words that say what to do: shown without a stack. */
export class StartError extends Error {
  override readonly name = 'StartError';
}
