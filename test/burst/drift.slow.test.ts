/** In the middle of a burst, things were changed past Terraform, or its state was lost. */

import { deeds, expectAtRest, planned, RECORD, weights } from "./look";
import { OUT, Stage } from "./stage";

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open({ linkMbps: 100 });
  await stage.apply(OUT);
}, 120_000);
afterAll(() => stage?.close(), 60_000);

test("weights that somebody changed are planned back", async () => {
  const site = stage.sites.get("onprem");
  const { spec } = (await site.record(RECORD))!;
  await site.putRecord(RECORD, { ...spec, answers: [{ ...spec.answers[0]!, weight: 100 }] });
  expect(await planned(stage)).toEqual({
    "spillway_global_record.shop_record": { actions: ["update"], attributes: ["answers"] },
  });
  await stage.apply(OUT);
  expect(await weights(stage)).toEqual(OUT.weights);
  expect(await stage.changes()).toBeUndefined();
}, 30_000);

test("a pool that somebody grew is planned back to its members", async () => {
  const site = stage.sites.get("cloud");
  const { spec } = (await site.pool("shop"))!;
  await site.putPool("shop", { ...spec, members: 3 });
  await stage.until("the third member is up", async () => (await stage.membersUp("cloud")) === 3);
  expect(await planned(stage)).toMatchObject({
    "spillway_pool.shop_pool[0]": { actions: ["update"], attributes: ["members"] },
  });
  await stage.apply(OUT);
  await stage.until("the third member is gone", () => stage.memberProcesses("cloud").length === 2);
  expect(await stage.changes()).toBeUndefined();
}, 30_000);

test("each resource is imported: what is left is what only Terraform knows, and applying that does nothing at the sites", async () => {
  const before = await deeds(stage);
  const addresses = (await stage.must("state", "list"))
    .split("\n")
    .filter((line) => line.startsWith("spillway_"));
  expect(addresses).toHaveLength(6);
  const ids = new Map<string, string>();
  for (const address of addresses) {
    ids.set(
      address,
      /^\s+id\s+= "([^"]+)"$/m.exec(await stage.must("state", "show", "-no-color", address))![1]!,
    );
  }
  await stage.must("state", "rm", ...addresses);
  for (const [address, id] of ids) {
    await stage.must("import", "-no-color", "-input=false", `-var-file=${stage.parametersFile}`, address, id);
  }
  const updated = (...attributes: string[]) => ({ actions: ["update"], attributes });
  expect(await planned(stage)).toEqual({
    "spillway_image_replica.home-image": updated("source"),
    "spillway_image_replica.shop_replica[0]": updated("source"),
    "spillway_gate.shop_gate[0]": updated("monitor", "quiet_period", "record_ttl"),
    // Which gate an answer stands behind.
    "spillway_global_record.shop_record": updated("answers"),
  });
  await stage.apply(OUT);
  expect(await deeds(stage)).toEqual(before);
  await expectAtRest(stage);
}, 60_000);

test("a pool that somebody took down is planned again with its gate, and put back", async () => {
  const site = stage.sites.get("cloud");
  await site.deletePool("shop", (await site.pool("shop"))!.spec.owner);
  await stage.until("the pool is gone", async () => (await site.pool("shop")) === undefined);
  expect(await planned(stage)).toMatchObject({
    "spillway_pool.shop_pool[0]": { actions: ["create"] },
    "spillway_gate.shop_gate[0]": { actions: ["create"] },
    "spillway_global_record.shop_record": { actions: ["update"] },
  });
  await stage.apply(OUT);
  expect(await stage.membersUp("cloud")).toBe(2);
  expect(await stage.changes()).toBeUndefined();
}, 60_000);
