/** How one call to a target behaves. */
export interface TargetCallOptions {
  readonly signal?: AbortSignal;
  /** The target repeats its own tries for so long; 0: one try. */
  readonly retryBudgetMs?: number;
  /** Asked for each slice's turn by a target that sends over a link. */
  readonly pace?: { readonly sliceBytes: number; take(bytes: number, signal?: AbortSignal): Promise<void> };
}
