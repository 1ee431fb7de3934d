import { SpillwayError } from "../../../lib/errors";
import type { RecordSpec } from "../../../lib/site/api";
import { SiteError } from "../../../lib/site/client";
import { Diagnostics, type ResourceContext } from "../plugin";
import { attributeOf } from "./attributes";
import type { Client } from "./client";
import { BRIEFLY } from "./patience";

/** A record as a plan knows it. */
export interface PlannedRecord {
  readonly name: string;
  readonly nameServer: string;
  readonly spec: RecordSpec;
  /** It is to be created: nobody should have it yet. */
  readonly isNew: boolean;
}

/**
 * Asks the name server's agent what would become of a record, and says it with the plan. An agent that says nothing keeps no plan
 * from being made: it may well be there for the apply.
 * @throws Diagnostics, SpillwayError with all that it would be refused for
 */
export async function sayWhatBecomesOf(record: PlannedRecord, ctx: ResourceContext<Client>): Promise<void> {
  const { name, nameServer, spec, isNew } = record;
  const { client, signal } = ctx;
  const silent = (problem: string) =>
    ctx.warn(`Site "${nameServer}" cannot be asked whether its name server takes the record ${name}`, {
      detail: `${problem.charAt(0).toUpperCase()}${problem.slice(1)}. The apply asks again.`,
      path: ["name_server"],
    });
  const problem = client.silenceOf(nameServer);
  if (problem !== undefined) return silent(problem);
  try {
    const found = await client.sites.get(nameServer).planRecord(name, spec, { ...BRIEFLY, signal });
    if (!found) return;
    if (found.problems.length > 0) {
      throw new Diagnostics(
        found.problems.map(
          ({ attribute, ...report }) =>
            new SpillwayError({
              ...report,
              attribute: attribute ? attributeOf(attribute) : ["name_server"],
            }),
        ),
      );
    }
    for (const note of found.notes) ctx.warn(`${note}`, { path: ["answers"] });
    if (isNew && found.exists) {
      ctx.warn(`The record ${name} is there already, and "${spec.owner}" declared it`, {
        detail:
          "It is taken over. That is as it should be after an apply that was cut off, or a state that was lost. If another stack declares it, the two would change it in turn: give each an `owner` of its own.",
        path: ["name"],
      });
    }
  } catch (error) {
    // A plan is made where no token is, by a reviewer or in CI: the apply needs one.
    if (error instanceof SiteError && error.code === "no-token") return silent(error.report.problem);
    if (!(error instanceof SiteError) || !error.isSilence) throw error;
    // The agent is there and says why its name server is not: the apply would be refused for the same.
    if (error.code === "part-unavailable")
      throw new SpillwayError({ ...error.report, attribute: ["name_server"] }, { cause: error });
    client.noteSilence(nameServer, error.report.problem);
    silent(error.report.problem);
  }
}
