import { existsSync, mkdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ImageCache } from "../../../../lib/image/near/image-cache";
import { bytesOf, scratch } from "../support/images";
import { writeLyingIndex } from "../support/lying-index";

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

describe("an index that is kept", () => {
  const home = scratch();
  afterAll(home.remove);
  const image = bytesOf(1, 100_000);

  async function draftIn(cache: ImageCache): Promise<{ readonly draft: string; readonly digest: string }> {
    const draft = await cache.draft();
    return { draft, digest: await writeLyingIndex(draft, image, image) };
  }

  it("for what a target told is found for that target, and for nothing else", async () => {
    const cache = new ImageCache(join(home.path, "told"));
    const { draft, digest } = await draftIn(cache);
    const path = await cache.keepToldIndex(draft, digest, "cloud https://a:1");
    expect(path).not.toBe(draft);
    expect(await cache.toldIndex(digest, "cloud https://a:1")).toBe(path);
    expect(await cache.toldIndex(digest, "cloud https://b:1")).toBeUndefined();
    expect(await cache.toldIndex(digest, "")).toBeUndefined();
    expect(await cache.index(digest)).toBeUndefined();
  });

  it("for what was read here is not taken for a target's", async () => {
    const cache = new ImageCache(join(home.path, "read"));
    const { draft, digest } = await draftIn(cache);
    const path = await cache.keepIndex(draft, digest);
    expect(await cache.index(digest)).toBe(path);
    expect(await cache.toldIndex(digest, "cloud")).toBeUndefined();
  });

  it("for what targets told does not take more room than is given to all of them: the oldest go", async () => {
    const directory = join(home.path, "much");
    const cache = new ImageCache(directory, 3_000);
    const paths: string[] = [];
    for (let i = 0; i < 8; i++) {
      const { draft, digest } = await draftIn(cache);
      const path = await cache.keepToldIndex(draft, digest, `target ${i}`);
      expect(existsSync(path)).toBe(true);
      const at = new Date(Date.now() - 60_000 + i * 1_000);
      utimesSync(path, at, at);
      paths.push(path);
    }
    const kept = paths.filter((path) => existsSync(path));
    expect(kept.length).toBeGreaterThan(1);
    expect(kept).toEqual(paths.slice(-kept.length));
    expect(kept.reduce((sum, path) => sum + statSync(path).size, 0)).toBeLessThanOrEqual(3_000);
  });

  it("stays where it is for a target without a name", async () => {
    const cache = new ImageCache(join(home.path, "nameless"));
    const { draft, digest } = await draftIn(cache);
    expect(await cache.keepToldIndex(draft, digest, "")).toBe(draft);
  });

  it("is removed when nobody asked for it for long, and a draft that was given up sooner", async () => {
    const directory = join(home.path, "old");
    const cache = new ImageCache(directory);
    const aged: [path: string, days: number, isKept: boolean][] = [
      ["drafts/1-a.draft", 2, false],
      ["drafts/1-b.draft", 0, true],
      ["told/a.index", 61, false],
      ["told/b.index", 2, true],
      ["scans/a.index", 61, false],
      ["indexes/of-a-former-version.index", 61, false],
    ];
    for (const [name, days] of aged) {
      mkdirSync(join(directory, name, ".."), { recursive: true });
      writeFileSync(join(directory, name), "");
      const at = new Date(Date.now() - days * 86_400_000);
      utimesSync(join(directory, name), at, at);
    }
    const times = { mtimeNs: 1_000_000_001n, ctimeNs: 1_000_000_001n };
    const identity = { path: "/an/image", size: 1n, inode: 2n, device: 3n, ...times };
    const file = { path: "/an/image", exact: false, format: "raw" } as const;
    await cache.keepFile({ identity, exact: false }, DIGEST, file, SCANNED_AT);
    const kept = aged.filter(([name]) => existsSync(join(directory, name))).map(([name]) => name);
    expect(kept).toEqual(aged.filter(([, , isKept]) => isKept).map(([name]) => name));
  });
});
