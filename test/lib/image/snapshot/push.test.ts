import { mkdirSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { previewSnapshot, SNAPSHOT_BLOCK_BYTES as BLOCK, TAG } from "../../../../lib/image/snapshot";
import { imageOf, pushAll, StrictHome } from "./support/strict-home";
import type { StrictService } from "./support/strict-service";

let home: StrictHome;
let service: StrictService;

beforeEach(() => {
  home = new StrictHome();
  service = home.service;
});
afterEach(() => home.remove());

describe("a snapshot at a strict service", () => {
  it("reads as the image, version after version, whatever changes and whether this side remembers its parent or not", async () => {
    const content = fc.oneof(fc.constant("zeros" as const), fc.integer({ min: 1, max: 4 }));
    const blocks = fc.array(content, { minLength: 5, maxLength: 5 });
    const versions = fc.array(fc.record({ blocks, forgets: fc.boolean() }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(versions, (all) => pushAll(all, false)),
      { numRuns: 6 },
    );
  });

  it("is finished whatever number of blocks was taken before it was cut off, and completed with the right count and checksum", async () => {
    for (let taken = 0; taken <= 6; taken++) {
      const image = imageOf([1 + taken, 20, 30, 40, 50]);
      let left = taken;
      service.troubleOnPut = () =>
        left-- > 0 ? undefined : service.no("unauthorized", "the credentials have expired");
      const cut = home.push(image, { streams: 1 });
      if (taken < 6 && taken < (taken === 0 ? 6 : 1)) await expect(cut).rejects.toThrow("have expired");
      else await cut.catch(() => undefined);
      service.troubleOnPut = undefined;
      const made = await home.push(image);
      expect(home.holds(made.snapshotId, image)).toBe(true);
    }
    expect(service.starts).toBe(7);
  });

  it("is begun once when two ask at once, and when the answer is lost", async () => {
    const image = imageOf([1, 2, 3, 4, 5]);
    const start = service.start.bind(service);
    let isLost = true;
    service.start = async (request) => {
      const answer = await start(request);
      if (!isLost) return answer;
      isLost = false;
      throw service.no("slow", "no answer came");
    };
    const made = await Promise.all([home.push(image), home.push(image)]);
    expect(made[0]!.snapshotId).toBe(made[1]!.snapshotId);
    expect(service.starts).toBe(1);
    expect(service.puts).toHaveLength(6);
  });

  it("is begun anew when the pending one failed, which is removed", async () => {
    const image = imageOf([1, 2, 3, 4, 5]);
    let left = 3;
    service.troubleOnPut = () => (left-- > 0 ? undefined : service.no("unauthorized", "no"));
    await expect(home.push(image, { streams: 1 })).rejects.toThrow("no");
    service.troubleOnPut = undefined;
    const [pending] = await service.list(TAG.image, undefined);
    service.fail(pending!.id);
    const made = await home.push(image);
    expect(made.snapshotId).not.toBe(pending!.id);
    expect(made.sentBytes).toBe(6 * BLOCK);
    expect(await service.list(TAG.image, undefined)).toHaveLength(1);
  });

  it("is begun anew when it fails while it is completed", async () => {
    service.afterComplete = "error";
    const tag = service.tag.bind(service);
    const complete = service.complete.bind(service);
    let times = 0;
    service.complete = async (...args) => {
      if (++times === 2) service.afterComplete = "completed";
      await complete(...args);
    };
    service.tag = tag;
    const made = await home.push(imageOf([1, 2, 3, 4, 5]));
    expect(service.starts).toBe(2);
    expect(home.holds(made.snapshotId, imageOf([1, 2, 3, 4, 5]))).toBe(true);
    expect(await service.list(TAG.image, undefined)).toHaveLength(1);
  });

  it("that another machine completed meanwhile is taken as it is", async () => {
    const image = imageOf([1, 2, 3, 4, 5]);
    let left = 3;
    service.troubleOnPut = () => (left-- > 0 ? undefined : service.no("unauthorized", "no"));
    await expect(home.push(image, { streams: 1 })).rejects.toThrow("no");
    service.troubleOnPut = undefined;
    const [pending] = await service.list(TAG.image, undefined);
    service.settle(pending!.id);
    expect(await home.push(image)).toMatchObject({ snapshotId: pending!.id, sentBytes: 0 });
    expect(service.starts).toBe(1);
  });

  it("is waited for until it is completed, and given up at its deadline", async () => {
    service.afterComplete = "pending";
    const image = imageOf([1, 2, 3, 4, 5]);
    const waiting = home.push(image, { completeMs: 300 });
    await expect(waiting).rejects.toThrow(/waited .* for the snapshot snap-\w+ to be completed/);
    const [pending] = await service.list(TAG.image, undefined);
    service.settle(pending!.id);
    expect(await home.push(image)).toMatchObject({ snapshotId: pending!.id });
    expect(service.starts).toBe(1);
  });

  it("asks for the parent's blocks where this side has forgotten them, and only once", async () => {
    await home.push(imageOf([1, 2, 3, 4, 5]));
    home.forget();
    const next = imageOf([1, 2, 7, 4, 5]);
    await previewSnapshot(home.options(next));
    expect(service.gets).toBe(6);
    const before = service.puts.length;
    await home.push(next);
    expect(service.gets).toBe(6);
    expect(service.puts.slice(before)).toEqual([2]);
  });

  it("takes a parent that is named, also one that nobody tagged, and refuses one that does not fit", async () => {
    const first = await home.push(imageOf([1, 2, 3, 4, 5]));
    await service.untag(first.snapshotId, Object.values(TAG));
    const settings = { parentId: first.snapshotId };
    const second = await home.push(imageOf([1, 2, 3, 4, 6]), { settings });
    expect(second.sentBytes).toBe(BLOCK);
    const image = imageOf([8, 8, 8, 8, 8]);
    await expect(home.push(image, { settings: { ...settings, encrypted: true } })).rejects.toThrow(
      "together with",
    );
    await expect(home.push(image, { settings: { parentId: "snap-0" } })).rejects.toThrow(
      "there is no snapshot snap-0",
    );
    await expect(home.push(image, { settings: { tags: { "aws:x": "y" } } })).rejects.toThrow(
      'the tag "aws:x" is not free',
    );
  });

  it("tells a plan the same again, until it is done", async () => {
    const image = imageOf([1, 2, 3, 4, 5]);
    const planned = await previewSnapshot(home.options(image));
    expect(planned.estimate).toMatchObject({ sendBytes: 6 * BLOCK, rateIs: "assumed" });
    await home.push(image);
    expect((await previewSnapshot(home.options(image))).estimate).toEqual(planned.estimate);
    const now = await previewSnapshot({ ...home.options(image), pin: false });
    expect(now.estimate).toMatchObject({ sendBytes: 0, presentBytes: image.length });
  });

  it("tells a plan anew once blocks have arrived, though the rest is still to come", async () => {
    const image = imageOf([1, 2, 3, 4, 5]);
    await previewSnapshot(home.options(image));
    let left = 2;
    service.troubleOnPut = () => (left-- > 0 ? undefined : service.no("unauthorized", "no"));
    await expect(home.push(image, { streams: 1 })).rejects.toThrow("no");
    const { estimate } = await previewSnapshot(home.options(image));
    expect(estimate.sendBytes).toBe(4 * BLOCK);
  });

  it("goes on where the journal's disk is full, and says so", async () => {
    const image = imageOf([1, 2, 3, 4, 5]);
    let left = 2;
    service.troubleOnPut = () => (left-- > 0 ? undefined : service.no("unauthorized", "no"));
    await expect(home.push(image, { streams: 1 })).rejects.toThrow("no");
    service.troubleOnPut = undefined;
    const pending = join(home.path, "cache", "snapshots", "pending");
    const [work] = readdirSync(pending).map((name) => join(pending, name));
    rmSync(join(work!, "journal"));
    // Writes to it end with ENOSPC, as on a disk that is full.
    symlinkSync("/dev/full", join(work!, "journal"));
    const made = await home.push(image);
    expect(home.holds(made.snapshotId, image)).toBe(true);
    expect(service.starts).toBe(1);
  });

  it("says what is wrong where nothing can be written down at all", async () => {
    mkdirSync(join(home.path, "cache"));
    symlinkSync("/proc/self/nothing", join(home.path, "cache", "snapshots"));
    await expect(home.push(imageOf([1, 2, 3, 4, 5]))).rejects.toThrow(/cannot be written down/);
  });
});
