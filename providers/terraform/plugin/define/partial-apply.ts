/**
 * Thrown by `create` or `update` when something failed that must be remembered all the same.
 *
 * A `create` that throws anything else leaves no state: Terraform forgets the attempt. One that throws this is saved and
 * *tainted*: the next apply destroys it and creates it anew. An `update` that throws anything else keeps the prior state; one
 * that throws this saves `state`.
 */
export class PartialApply<S extends object = Readonly<Record<string, unknown>>> extends Error {
  override readonly name = "PartialApply";

  constructor(
    /** What is true now. Attributes left out are taken from the plan; those that are still unknown become null. */
    readonly state: Partial<S>,
    /** What went wrong, as it would have been thrown. */
    override readonly cause: unknown,
  ) {
    super("the operation was not finished", { cause });
  }
}
