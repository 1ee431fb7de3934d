import { join } from "node:path";
import { ImageCache } from "../../../../lib/image/near/image-cache";
import { scratch } from "../support/images";

const SCANNED_AT = 1_700_000_010_000;
const DIGEST = `sha256:${"ab".repeat(32)}`;

describe("what is remembered of a file", () => {
  const home = scratch();
  afterAll(home.remove);

  it.each([
    ["1 s before in a fine clock", -1_000n, 1n, true],
    ["40 ms before in a fine clock", -40n, 1n, false],
    ["1 s before in a clock of whole seconds", -1_000n, 0n, false],
    ["2 s before in a clock of whole seconds", -2_000n, 0n, true],
  ])("is nothing that might have changed unseen: a change %s", async (what, changedMs, extraNs, isKept) => {
    const cache = new ImageCache(join(home.path, what));
    const changedNs = (BigInt(SCANNED_AT) + changedMs) * 1_000_000n;
    // Only one of the two need be finer for the clock to be.
    const times = { mtimeNs: changedNs, ctimeNs: changedNs + extraNs };
    const identity = { path: "/an/image", size: 1n, inode: 2n, device: 3n, ...times };
    const file = { path: "/an/image", exact: false, format: "raw" } as const;
    await cache.keepFile({ identity, exact: false }, DIGEST, file, SCANNED_AT);
    expect((await cache.fileOf(DIGEST)) !== undefined).toBe(isKept);
  });
});
