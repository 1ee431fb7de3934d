import type { DesiredParameters } from "../../lib/desired/parameters";
import { deeds, expectAtRest, removeRecord, weights } from "./look";
import { OUT, QUIET, Stage } from "./stage";

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open({ linkMbps: 100 });
}, 120_000);
afterAll(() => stage?.close(), 60_000);

describe.each<[string, DesiredParameters, Record<string, number>]>([
  ["quiet", QUIET, { onprem: 100 }],
  ["burst", OUT, { onprem: 50, cloud: 50 }],
  ["home again", QUIET, { onprem: 100 }],
])("%s", (_, parameters, shares) => {
  beforeAll(async () => {
    await stage.apply(parameters);
  }, 60_000);

  test("a second plan is empty, and a refresh-only plan finds nothing", async () => {
    expect(await weights(stage)).toEqual(shares);
    await expectAtRest(stage);
  }, 30_000);

  test("the output says what is in force, and why", async () => {
    const said = JSON.parse(await stage.must("output", "-json", "shop_decision")) as DesiredParameters;
    expect(said).toMatchObject({ burst: parameters.burst, reason: parameters.reason });
  });

  test("a record that somebody removed is planned again, and put back", async () => {
    await removeRecord(stage);
    const before = await deeds(stage);
    expect(await stage.changes()).toMatch(
      /# spillway_global_record\.\S+ will be created[^]*Plan: 1 to add, 0 to change, 0 to destroy/,
    );
    expect(await deeds(stage)).toEqual(before);
    await stage.apply(parameters);
    expect(await weights(stage)).toEqual(shares);
    expect(await stage.changes()).toBeUndefined();
  }, 30_000);
});
