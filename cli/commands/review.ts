import { readFileSync } from "node:fs";
import { messageOf, SpillwayError } from "../../lib/errors";
import { changesAnything, parsePlan, renderMarkdown, summarise, type PlanModel } from "../../lib/review";
import { costHeadline, costOf, type CostReport } from "../../lib/review/cost";
import { EXIT, jsonLine, printable, UsageError } from "../output";
import { priceBook } from "../prices";

export interface ReviewOptions {
  /** A file, or `-` for standard input. */
  readonly plan: string;
  readonly prices?: string;
  readonly region?: string;
  /** False: nothing is said of cost. */
  readonly cost?: boolean;
  readonly detailedExitcode?: boolean;
  readonly json?: boolean;
}

/** As `terraform plan -detailed-exitcode` has it. */
const CHANGES = 2;

/** Prints a plan as a reviewer wants to read it. */
export function run(options: ReviewOptions): Promise<number> {
  const model = parsePlan(readPlan(options.plan));
  const cost = options.cost === false ? undefined : costReport(model, options);
  process.stdout.write(options.json ? jsonLine(asJson(model, cost)) : asMarkdown(model, cost));
  const changes = changesAnything(model) || model.outputs.length > 0;
  return Promise.resolve(options.detailedExitcode && changes ? CHANGES : EXIT.ok);
}

function costReport(model: PlanModel, { prices, region }: ReviewOptions): CostReport {
  return costOf(model, priceBook(prices), region === undefined ? {} : { region });
}

function asMarkdown(model: PlanModel, cost: CostReport | undefined): string {
  return printable(renderMarkdown(model, { now: Date.now(), ...(cost ? { cost } : {}) }));
}

function asJson(model: PlanModel, cost: CostReport | undefined): object {
  const { complete, errored, drift, failedChecks, deferred, outputs } = model;
  const changes = model.changes
    .filter(({ action }) => action !== "no-op" && action !== "read")
    .map(({ address, type, action, forcedBy }) => ({ address, type, action, forcedBy }));
  const addresses = (list: readonly { readonly address: string }[]) => list.map(({ address }) => address);
  return {
    ok: true,
    summary: summarise(model),
    complete,
    errored,
    changes,
    drift: addresses(drift),
    failedChecks: addresses(failedChecks),
    deferred,
    outputs: outputs.map(({ name, action }) => ({ name, action })),
    ...(cost ? { cost: { headline: costHeadline(cost), ...cost } } : {}),
  };
}

function readPlan(file: string): string {
  if (file === "-" && process.stdin.isTTY) {
    throw new UsageError(
      new SpillwayError({
        place: "command line",
        problem: "no plan is named, and none comes in",
        mend: "Name a file, or pipe one in: `terraform show -json PLANFILE | spillway review`.",
      }),
    );
  }
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8").replace(/^\uFEFF/, "");
  } catch (error) {
    throw new SpillwayError(
      {
        place: file === "-" ? "standard input" : file,
        problem: `the plan cannot be read: ${messageOf(error)}`,
        mend: "Make it with `terraform plan -out=PLANFILE` and `terraform show -json PLANFILE`.",
      },
      { cause: error },
    );
  }
}
