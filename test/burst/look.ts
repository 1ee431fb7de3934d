import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { SiteEvent } from "../../lib/site/api";
import type { Stage } from "./stage";

export const RECORD = "shop.example.test";

/** Everything that the sites did so far, but for nudges, which end by themselves. */
export async function deeds(stage: Stage): Promise<string[]> {
  const all = await Promise.all(
    ["onprem", "cloud"].map(async (site) => {
      const { events } = await stage.sites.get(site).events();
      return events
        .filter(({ kind }) => kind !== "quiesce-changed")
        .map(({ kind, subject, seq }: SiteEvent) => `${site} ${seq} ${kind} ${subject}`);
    }),
  );
  return all.flat();
}

export async function weights(stage: Stage): Promise<Record<string, number>> {
  const record = await stage.sites.get("onprem").record(RECORD);
  return Object.fromEntries(record?.spec.answers.map(({ site, weight }) => [site, weight]) ?? []);
}

async function refreshOnly(stage: Stage): Promise<string> {
  return stage.must(
    "plan",
    "-refresh-only",
    "-no-color",
    "-input=false",
    `-var-file=${stage.parametersFile}`,
  );
}

/** By hand, past Terraform. */
export async function removeRecord(stage: Stage): Promise<void> {
  const site = stage.sites.get("onprem");
  await site.deleteRecord(RECORD, (await site.record(RECORD))!.spec.owner);
}

/** What a plan would do, resource by resource; nothing for what it leaves alone. */
export async function planned(
  stage: Stage,
): Promise<Record<string, { actions: string[]; attributes: string[] }>> {
  const saved = join(stage.dir, "looked-at.tfplan");
  await stage.must("plan", "-no-color", "-input=false", `-var-file=${stage.parametersFile}`, `-out=${saved}`);
  const { resource_changes } = JSON.parse(await stage.must("show", "-json", saved)) as {
    resource_changes: {
      address: string;
      change: { actions: string[]; before: Record<string, unknown>; after: Record<string, unknown> };
    }[];
  };
  return Object.fromEntries(
    resource_changes
      .filter(({ change }) => change.actions.join() !== "no-op")
      .map(({ address, change: { actions, before, after } }) => {
        const attributes = Object.keys(after ?? {}).filter(
          (key) => !isDeepStrictEqual(before?.[key], after[key]),
        );
        return [address.replace(/_[0-9A-F]{8}/, ""), { actions, attributes }];
      }),
  );
}

/** Nothing is left to do, and nothing drifted; looking at it changed nothing. */
export async function expectAtRest(stage: Stage): Promise<void> {
  const before = await deeds(stage);
  expect(await stage.changes()).toBeUndefined();
  expect(await refreshOnly(stage)).toContain(
    "No changes. Your infrastructure still matches the configuration.",
  );
  expect(await deeds(stage)).toEqual(before);
}
