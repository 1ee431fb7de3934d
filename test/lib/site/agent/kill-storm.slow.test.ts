import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SiteError } from "../../../../lib/site/client";
import type { PoolSpec } from "../../../../lib/site/api";
import { sleep } from "../../../../lib/wait";
import {
  type MadeImage,
  type TestSiteProcess,
  allUp,
  makeImage,
  poolSpec,
  poolUntil,
  processesOf,
  push,
  startSiteProcess,
} from "../../../support/site";

const KILLS = 20;
const NAMES = ["shop", "search"];

let dir: string;
let site: TestSiteProcess;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "spillway-storm-"));
  site = await startSiteProcess({ site: "cloud" });
});

afterAll(async () => {
  await site.close();
  rmSync(dir, { recursive: true, force: true });
});

/** A small generator, so that a failed run can be told by its seed. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test("an agent killed 20 times while pools go up and down leaves no orphan and ends where it was asked to be", async () => {
  const seed = Date.now() % 1_000_000;
  const next = random(seed);
  const images: MadeImage[] = [];
  for (const version of ["1", "2"]) {
    const image = await makeImage({ dir, version, bytes: 400_000 });
    await push(site, image);
    images.push(image);
  }
  const specs = new Map<string, PoolSpec>();
  for (const name of NAMES) specs.set(name, await poolSpec(site, images[0]));
  let stop = false;

  /** Changes pools without end; an agent that is away is tried again by the client. */
  const changing = (async () => {
    while (!stop) {
      const name = NAMES[Math.floor(next() * NAMES.length)];
      const what = next();
      const spec: PoolSpec = {
        ...(specs.get(name) as PoolSpec),
        members: 1 + Math.floor(next() * 4),
        image: images[Math.floor(next() * 2)].digest,
      };
      try {
        if (what < 0.25) await site.client.deletePool(name, "test");
        else if (what < 0.35) await site.client.retryPool(name);
        else await site.client.putPool(name, spec);
      } catch (error) {
        if (!(error instanceof SiteError)) throw error;
        if (!error.isSilence && error.code !== "not-found") throw new Error(`seed ${seed}: ${error.message}`);
      }
      await sleep(next() * 200);
    }
  })();

  for (let kill = 0; kill < KILLS; kill++) {
    await sleep(50 + next() * 500);
    await site.kill();
    await site.restart();
  }
  stop = true;
  await changing;

  for (const name of NAMES) {
    await site.client.putPool(name, {
      ...(specs.get(name) as PoolSpec),
      members: 2,
      image: images[1].digest,
    });
  }
  const members: string[] = [];
  for (const name of NAMES) {
    const status = await poolUntil(
      site,
      name,
      (now) => allUp(2)(now) && now!.members.every(({ image }) => image === images[1].digest),
      30_000,
    );
    members.push(...(status?.members.map(({ id }) => id) ?? []));
  }
  const running = processesOf(site.stateDir);
  expect({ seed, running: running.length }).toEqual({ seed, running: 4 });
  for (const id of members) expect(processesOf(site.stateDir, id)).toHaveLength(1);
  expect(readdirSync(join(site.stateDir, "launcher")).filter((name) => name.endsWith(".json"))).toHaveLength(
    4,
  );

  for (const name of NAMES) await site.client.deletePool(name, "test");
  for (const name of NAMES) await poolUntil(site, name, (now) => now === undefined, 30_000);
  expect(processesOf(site.stateDir)).toEqual([]);
  expect(readdirSync(join(site.stateDir, "launcher"))).toEqual([]);
}, 180_000);
