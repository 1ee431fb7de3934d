import { weightDistance } from "../policy";
import { weightsInWords } from "./verify";

type Weights = Readonly<Record<string, number>>;

/** Weights that are found changed by someone else are mended at most so often. */
const MEND_EVERY_MS = 60_000;

/** Notices that someone removed or changed the record by hand. */
export class WeightWatch {
  private strayed = 0;
  private mendedAt = 0;

  /** @param confirmations looks in a row that must agree */
  constructor(private readonly confirmations: number) {}

  /**
   * Compares what the name server answers with what was applied.
   * @returns `fits`; `strays`, which may only be a moment; or, when another apply is due, one sentence that says so
   */
  look(seen: Weights, applied: Weights, now: number): "fits" | "strays" | { readonly problem: string } {
    this.strayed = weightDistance(seen, applied) === 0 ? 0 : this.strayed + 1;
    if (this.strayed === 0) return "fits";
    if (this.strayed < this.confirmations || now - this.mendedAt < MEND_EVERY_MS) return "strays";
    this.strayed = 0;
    this.mendedAt = now;
    return {
      problem: `the name server answers ${weightsInWords(seen)}, where ${weightsInWords(applied)} was applied: applying again`,
    };
  }
}
