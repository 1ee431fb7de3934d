import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AbortedError, DeadlineError } from "../../../lib/errors";
import type { PoolSpec } from "../../../lib/site/api";
import type { SiteDirectory } from "../../../lib/site/client";
import {
  checkImageIsThere,
  dropImage,
  findImage,
  isGrowing,
  launchPool,
  previewTransfer,
  takeDownPool,
  transferImage,
  type LaunchRequest,
} from "../../../lib/steps";
import { allUp, makeImage, poolSpec, poolUntil, processesOf, startSiteProcess } from "../../support/site";
import type { MadeImage, TestSiteProcess } from "../../support/site";
import { directoryOf, heard, listener, thrownBy, User } from "./support/steps";

let site: TestSiteProcess;
let sites: SiteDirectory;
let image: MadeImage;
const folder = mkdtempSync(join(tmpdir(), "spillway-pool-"));
const cacheDirectory = join(folder, "cache");
let count = 0;

beforeAll(async () => {
  image = await makeImage({ dir: folder, bytes: 3_000_000 });
  site = await startSiteProcess();
  sites = directoryOf(site);
}, 60_000);

afterAll(async () => {
  sites?.close();
  await site?.close();
  rmSync(folder, { recursive: true });
});

async function launching(changes: Partial<PoolSpec> = {}): Promise<LaunchRequest> {
  const spec = await poolSpec(site, image, { claim: "first", ...changes });
  return { site: "cloud", name: `shop-${++count}`, spec, deadlineMs: 20_000 };
}

function leaving({ name, spec }: LaunchRequest) {
  return { site: "cloud", name, owner: spec.owner, claim: spec.claim, deadlineMs: 20_000 };
}

describe("transfer", () => {
  const request = () => ({ site: "cloud", source: image.path, cacheDirectory });

  test("a pool whose image is not at the site is refused with what to do", async () => {
    const check = checkImageIsThere(sites, { site: "cloud", name: "shop" }, image.digest, listener());
    expect((await thrownBy(check)).message).toMatch(
      /site "cloud" holds nothing of image sha256:.* \(at pool cloud\/shop\)\. Declare a replica of it/,
    );
  });

  test("a preview says what there is to send and how long it takes, and changes nothing", async () => {
    const preview = await previewTransfer(sites, request(), listener());
    expect(preview).toMatchObject({ digest: image.digest, sizeBytes: image.bytes });
    expect(preview.estimate.presentBytes + preview.estimate.sendBytes).toBe(image.bytes);
    expect(preview.estimate.etaMs).toBeGreaterThan(0);
    expect(await findImage(sites, { site: "cloud", digest: image.digest }, listener())).toBeUndefined();
    expect(await previewTransfer(sites, request(), listener())).toEqual(preview);
  });

  test("a source that is missing, or is not the image that was asked for, is refused", async () => {
    const missing = previewTransfer(sites, { ...request(), source: join(folder, "none.img") }, listener());
    expect((await thrownBy(missing)).message).toMatch(/there is no image file ".*none\.img"/);
    const other = `sha256:${"0".repeat(64)}`;
    const wrong = await thrownBy(transferImage(sites, { ...request(), digest: other }, listener()));
    expect(wrong.message).toContain(other);
    expect(wrong.message).toContain(image.digest);
  });

  test("a transfer ends with the image complete at the site, and again it sends nothing", async () => {
    const context = listener();
    const first = await transferImage(sites, request(), context);
    expect(first).toMatchObject({ digest: image.digest, sizeBytes: image.bytes });
    expect(context.said.length).toBeGreaterThan(0);
    expect(context.said.every(({ step }) => step === "transfer")).toBe(true);
    expect(await findImage(sites, { site: "cloud", digest: image.digest }, listener())).toMatchObject({
      complete: true,
    });
    expect((await transferImage(sites, request(), listener())).segments).toBe(0);
  });

  test("an image is dropped, unless a pool runs from it", async () => {
    const other = await makeImage({ dir: folder, seed: 2 });
    await transferImage(sites, { ...request(), source: other.path }, listener());
    await dropImage(sites, { site: "cloud", digest: other.digest }, listener());
    expect(await findImage(sites, { site: "cloud", digest: other.digest }, listener())).toBeUndefined();
    const pool = await launching({ members: 1 });
    await launchPool(sites, pool, listener());
    const drop = dropImage(sites, { site: "cloud", digest: image.digest }, listener());
    expect((await thrownBy(drop)).message).toContain(pool.name);
    await takeDownPool(sites, leaving(pool), listener());
  });
});

describe("launch", () => {
  test("a launch returns when the members run, and the same again changes nothing", async () => {
    const request = await launching();
    const first = await launchPool(sites, request, listener());
    expect(first.members).toHaveLength(2);
    const again = await launchPool(
      sites,
      { ...request, spec: { ...request.spec, claim: "second" } },
      listener(),
    );
    expect(again.members.map(({ id }) => id)).toEqual(first.members.map(({ id }) => id));
    expect(again.spec.claim).toBe("second");
  });

  test("a pool of another owner is not taken over", async () => {
    const request = await launching({ members: 1 });
    await launchPool(sites, request, listener());
    const theirs = { ...request, undo: true, spec: { ...request.spec, owner: "another" } };
    expect((await thrownBy(launchPool(sites, theirs, listener()))).message).toMatch(/belongs to "test"/);
    expect((await site.client.pool(request.name))?.phase).toBe("ready");
  });

  test("a failed pool gets a new try", async () => {
    const request = await launching({ members: 1 });
    const first = await launchPool(sites, request, listener());
    await site.client.failPool(request.name, "the gate did not open");
    const again = await launchPool(sites, request, listener());
    expect(again.phase).toBe("ready");
    const staying = again.members.filter(({ state }) => state !== "draining").map(({ id }) => id);
    expect(staying).toHaveLength(1);
    expect(staying).not.toContain(first.members[0]?.id);
  });

  describe("behind an open gate", () => {
    const SLOW_MS = "1500";
    let open: LaunchRequest;

    beforeEach(async () => {
      open = await launching({ members: 1, environment: { START_DELAY_MS: SLOW_MS } });
      await launchPool(sites, open, listener());
      await poolUntil(site, open.name, allUp(1));
      await site.client.putGate(open.name, { generation: "g1", admittedAt: Date.now() });
    });

    const changed = (changes: Partial<PoolSpec>) => ({ ...open, spec: { ...open.spec, ...changes } });

    test("a pool that grows is not done before its new members are up", async () => {
      const context = listener();
      const grown = await launchPool(sites, changed({ members: 3 }), context);
      expect(grown.members.map(({ state }) => state)).toEqual(["up", "up", "up"]);
      expect(context.said.map(({ message }) => message)).toContainEqual(
        expect.stringMatching(/^1 of 3 members up/),
      );
    });

    test("a pool whose members are replaced is not done before the new ones are up", async () => {
      const old = (await site.client.pool(open.name))?.members[0]?.id;
      const replaced = await launchPool(
        sites,
        changed({ environment: { START_DELAY_MS: SLOW_MS, GREETING: "new" } }),
        listener(),
      );
      const up = replaced.members.filter(({ state }) => state === "up").map(({ id }) => id);
      expect(up).toHaveLength(1);
      expect(up).not.toContain(old);
    });

    test("new members that never come up fail it, with what they say", async () => {
      const environment = { START_DELAY_MS: "60000" };
      const error = await thrownBy(
        launchPool(sites, changed({ members: 2, environment, launchTimeoutMs: 1_000 }), listener()),
      );
      expect(error.message).toMatch(/^the launch failed: member .*: not up 1\.0 s after its launch/);
    });

    test("the deadline says how many are up", async () => {
      const error = await thrownBy(
        launchPool(sites, { ...changed({ members: 2 }), deadlineMs: 700 }, listener()),
      );
      expect(error).toBeInstanceOf(DeadlineError);
      expect(error.message).toMatch(/for 2 members to be up; last seen: 1 of 2 members (up|launched)/);
    });

    test("a growth that was cut off is gone on with, and waited for", async () => {
      await site.client.putPool(open.name, changed({ members: 2 }).spec);
      await poolUntil(site, open.name, (status) => status?.phase === "ready");
      const status = await site.client.pool(open.name);
      expect(status && isGrowing(status)).toBe(true);
      const grown = await launchPool(sites, changed({ members: 2 }), listener());
      expect(grown.members.map(({ state }) => state)).toEqual(["up", "up"]);
      expect(isGrowing(grown)).toBe(false);
    });

    test("a pool that shrinks, or has a member down, need not wait for anybody", async () => {
      await launchPool(sites, changed({ members: 2 }), listener());
      const [member] = (await site.client.pool(open.name))?.members ?? [];
      for (const pid of processesOf(site.stateDir, member?.id)) process.kill(pid, "SIGKILL");
      await poolUntil(site, open.name, (status) => !allUp(2)(status));
      await launchPool(sites, { ...changed({ members: 1 }), deadlineMs: 5_000 }, listener());
    });
  });

  test("two pools cannot listen at one place, and the second leaves nothing", async () => {
    const first = await launching({ members: 1 });
    await launchPool(sites, first, listener());
    const second = await launching({ members: 1, listen: first.spec.listen });
    expect((await thrownBy(launchPool(sites, { ...second, undo: true }, listener()))).message).toMatch(
      /the pool ".*" listens at .* already/,
    );
    expect(await site.client.pool(second.name)).toBeUndefined();
  });

  test("a launch that fails says why, and leaves nothing when it made the pool", async () => {
    const source = join(folder, "noise.img");
    writeFileSync(source, randomBytes(50_000));
    const noise = await transferImage(sites, { site: "cloud", source, cacheDirectory }, listener());
    const request = { ...(await launching({ members: 1, image: noise.digest })), undo: true };
    const error = await thrownBy(launchPool(sites, request, listener()));
    expect(error.message).toMatch(/^the launch failed: .*tar/s);
    await poolUntil(site, request.name, (status) => status === undefined);
  }, 40_000);

  test("a launch that is stopped takes down what it made, and leaves what was there before", async () => {
    const old = await launching({ members: 1 });
    await launchPool(sites, old, listener());
    for (const [request, stays] of [
      [{ ...(await launching({ members: 1 })), undo: true }, false],
      [{ ...old, undo: true, spec: { ...old.spec, members: 2 } }, true],
    ] as const) {
      const context = listener();
      const original = context.progress;
      const stopping = {
        ...context,
        progress: (line: Parameters<typeof original>[0]) => (original(line), context.stop()),
      };
      const error = await thrownBy(
        launchPool(sites, request, stopping).then(() => Promise.reject(new AbortedError("too fast"))),
      );
      expect(error).toBeInstanceOf(AbortedError);
      if (error.message === "too fast") continue;
      if (!stays) await poolUntil(site, request.name, (status) => status === undefined);
      else expect(await site.client.pool(request.name)).toBeDefined();
    }
  }, 30_000);

  test("a launch that winds up late leaves alone what the next one has declared", async () => {
    const old = { ...(await launching({ members: 1, environment: { START_DELAY_MS: "500" } })), undo: true };
    const context = listener();
    const next = { ...old.spec, claim: "next" };
    const declaring = {
      ...context,
      progress: () => void site.client.putPool(old.name, next).then(() => context.stop()),
    };
    await launchPool(sites, old, declaring).catch(() => undefined);
    await poolUntil(site, old.name, (status) => status?.spec.claim === "next");
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect((await site.client.pool(old.name))?.phase).not.toBe("leaving");
    await poolUntil(site, old.name, allUp(1));
  });

  test("a launch past its deadline says what it saw last", async () => {
    const slow = await launching({ members: 1 });
    const error = await thrownBy(launchPool(sites, { ...slow, deadlineMs: 0 }, listener()));
    expect(error).toBeInstanceOf(DeadlineError);
    expect(error.message).toMatch(/for 1 members to be launched; last seen: \d of 1 members launched, 0 up/);
  });

  test("an agent that is restarted during the launch does not fail it", async () => {
    const request = await launching({ members: 4 });
    const context = listener();
    const launched = launchPool(sites, request, context);
    await poolUntil(site, request.name, (status) => status !== undefined);
    await site.kill();
    await site.restart();
    expect((await launched).members).toHaveLength(4);
    await poolUntil(site, request.name, allUp(4));
    expect(processesOf(site.stateDir).length).toBeGreaterThanOrEqual(4);
  }, 30_000);
});

describe("take-down", () => {
  test("members are drained, ended, and nothing is left", async () => {
    const request = await launching();
    await launchPool(sites, request, listener());
    await poolUntil(site, request.name, allUp(2));
    const members = (await site.client.pool(request.name))?.members ?? [];
    const user = new User(request.spec.listen);
    const answer = user.get("/slow?ms=1500");
    await new Promise((resolve) => setTimeout(resolve, 200));
    const context = listener();
    await takeDownPool(sites, leaving(request), context);
    expect((await answer).status).toBe(200);
    user.leave();
    expect(context.said.some(({ message }) => /^draining [12] members?, 1 session left$/.test(message))).toBe(
      true,
    );
    expect(await site.client.pool(request.name)).toBeUndefined();
    for (const { id } of members) expect(processesOf(site.stateDir, id)).toEqual([]);
    await takeDownPool(sites, leaving(request), listener());
  });

  test("a pool that was declared anew since is left alone", async () => {
    const request = await launching({ members: 1 });
    await launchPool(sites, request, listener());
    await launchPool(sites, { ...request, spec: { ...request.spec, claim: "second" } }, listener());
    const context = listener();
    await takeDownPool(sites, leaving(request), context);
    expect(context.said.map(({ message }) => message)).toEqual(["declared anew since; left as it is"]);
    expect((await site.client.pool(request.name))?.phase).toBe("ready");
  });

  test("a take-down that is stopped goes on at the site, and a launch calls it back", async () => {
    const request = await launching({ members: 1 });
    await launchPool(sites, request, listener());
    await poolUntil(site, request.name, allUp(1));
    const answer = new User(request.spec.listen).get("/slow?ms=2500");
    await new Promise((resolve) => setTimeout(resolve, 200));
    const context = listener();
    const down = thrownBy(takeDownPool(sites, leaving(request), context));
    await heard(context, /draining 1 member/);
    context.stop();
    expect(await down).toBeInstanceOf(AbortedError);
    expect((await site.client.pool(request.name))?.phase).toBe("leaving");
    const back = await launchPool(sites, request, listener());
    expect(back.phase).toBe("ready");
    expect((await answer).status).toBe(200);
  }, 20_000);

  test("an agent that is killed in the middle finishes the take-down when it is back", async () => {
    const request = await launching();
    await launchPool(sites, request, listener());
    const user = new User(request.spec.listen);
    await poolUntil(site, request.name, allUp(2));
    const answer = user.get("/slow?ms=1500");
    await new Promise((resolve) => setTimeout(resolve, 200));
    const down = takeDownPool(sites, leaving(request), listener());
    await poolUntil(site, request.name, (status) => status?.phase === "leaving");
    await site.kill();
    await site.restart();
    await down;
    expect((await answer).status).toBe(200);
    user.leave();
    expect(await site.client.pool(request.name)).toBeUndefined();
  }, 30_000);
});

test("names of sites that are not configured are told with those that are", async () => {
  const request = { site: "clout", source: join(folder, "x"), cacheDirectory };
  writeFileSync(request.source, "x");
  expect((await thrownBy(previewTransfer(sites, request, listener()))).message).toMatch(
    /known sites: "cloud"/,
  );
});
