import { asObject, asString } from "../review/json";
import type { PlanModel, ResourceChange } from "../review/model";
import type { PlanCheck, Refusal } from "./check-plan";

/** The attribute that says which image a resource of the burst is about. */
const DIGEST = { replica: "digest", pool: "image_digest" } as const;

/**
 * An image file that was rebuilt changes the plan of every later decision. Which image users get is nothing that demand decides: it
 * changes when the parameters name it, or by hand.
 */
export function imageStays(check: PlanCheck, changes: readonly ResourceChange[]): Refusal[] {
  return changes.flatMap((change) => {
    const kind = (["replica", "pool"] as const).find(
      (each) => check.manifest.addresses[each] === change.baseAddress,
    );
    if (!kind || (change.action !== "update" && change.action !== "replace")) return [];
    const changed = change.attributes.find(({ path }) => path === DIGEST[kind]);
    if (!changed) return [];
    const before = asString(changed.before);
    const after = asString(changed.after);
    if (before === undefined || (after !== undefined && after === check.imageDigest)) return [];
    const { variable } = check.manifest;
    return [
      {
        address: change.address,
        action: change.action,
        rule: "image-stays",
        problem:
          `the image would change from ${before} to ${after ?? "one that is known only after apply"}, ` +
          `and \`image_digest\` of \`${variable}\` does not name that one`,
        mend:
          "The image file was changed, most likely. Put the former one back; or ship the new one on purpose: " +
          `${after === undefined ? "" : `set \`image_digest\` of \`${variable}\` to "${after}", or `}run \`terraform apply\` by hand.`,
      },
    ];
  });
}

/** One sentence if the cloud would begin with another image than the one that runs on premises; undefined if that is not so or not known. */
export function otherImageInCloud(plan: PlanModel, manifest: PlanCheck["manifest"]): string | undefined {
  const { onPrem, cloud, addresses } = manifest;
  const made = plan.changes.find(
    ({ baseAddress, action }) => baseAddress === addresses.pool && action === "create",
  );
  const home = plan.changes.find(({ type, after }) => {
    const pool = asObject(after);
    return type === "spillway_pool" && pool?.site === onPrem.site && pool.name === onPrem.pool;
  });
  const there = asString(asObject(made?.after)?.image_digest);
  const here = asString(asObject(home?.after)?.image_digest);
  if (there === undefined || here === undefined || there === here) return undefined;
  return `the cloud will run image ${there} at ${cloud.site}, while ${onPrem.site} runs ${here}`;
}
