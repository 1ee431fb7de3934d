import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type AgentOptions, startAgent } from "../../../../lib/site/agent";
import { sleep } from "../../../../lib/wait";
import { clearSite, localPorts } from "../../../../providers/local";
import { type TestSite, allUp, makeImage, poolSpec, poolUntil, push, startSite } from "../../../support/site";

let dir: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "spillway-agent-images-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function heldAt({ client }: TestSite): Promise<string[]> {
  return (await client.context()).images.map(({ digest }) => digest).sort();
}

/** Until the site holds so many images. */
async function heldWhen(site: TestSite, count: number): Promise<string[]> {
  for (let i = 0; i < 100 && (await heldAt(site)).length !== count; i++) await sleep(50);
  return heldAt(site);
}

const versions = (...all: string[]) =>
  Promise.all(all.map((version) => makeImage({ dir, version, seed: Number(version) })));

describe("an agent that retains two images that no pool uses", () => {
  let site: TestSite;

  beforeAll(async () => {
    site = await startSite({ retainImages: 2 });
  });
  afterAll(() => site?.close());

  it("evicts the superseded ones and says so, but never one that a pool runs from", async () => {
    const [one, two, three, four] = await versions("1", "2", "3", "4");
    await push(site, one);
    await site.client.putPool("shop", await poolSpec(site, one));
    await poolUntil(site, "shop", allUp(2));
    for (const image of [two, three, four]) {
      await push(site, image);
      await sleep(20);
    }
    const kept = [one, three, four].map(({ digest }) => digest).sort();
    expect(await heldWhen(site, 3)).toEqual(kept);
    await poolUntil(site, "shop", allUp(2));
    const { events } = await site.client.events(0);
    expect(events.filter(({ kind }) => kind === "image-evicted")).toMatchObject([
      { subject: two.digest, detail: expect.stringMatching(/^\d.*B: more than 2 images that nothing uses$/) },
    ]);
    expect(site.log()).toContain(`image-evicted ${two.digest}: `);
    // It may be brought again, and is run from at once.
    await push(site, two);
    await site.client.putPool("more", await poolSpec(site, two));
    await poolUntil(site, "more", allUp(2));
    expect(await heldAt(site)).toEqual(expect.arrayContaining([one.digest, two.digest]));
  }, 40_000);
});

describe("an agent", () => {
  const started = async (changes: Partial<AgentOptions>, stateDir = mkdtempSync(join(dir, "state-"))) => {
    const lines: string[] = [];
    const log = (line: string) => lines.push(line);
    const listen = { host: "127.0.0.1", port: 0 };
    const ports = localPorts({ stateDir });
    const options = { site: "cloud", stateDir, listen, token: "t".repeat(32), ports, log, ...changes };
    try {
      const agent = await startAgent(options);
      await agent.close();
      return lines.join("\n");
    } catch (error) {
      return (error as Error).message;
    } finally {
      await clearSite(stateDir);
    }
  };

  it.each([1, 0, -3, 2.5, Number.NaN])("cannot retain %d images", async (retainImages) => {
    const told = await started({ retainImages });
    expect(told).toContain(`must be a whole number from 2 on, or "all", got ${retainImages}`);
  });

  it.each([2, "all"] as const)("can retain %s", async (retainImages) => {
    expect(await started({ retainImages })).toContain("agent-started");
  });

  it("tells in its log what of its image store it cannot take up: where, what, and how to mend it", async () => {
    const stateDir = mkdtempSync(join(dir, "state-"));
    const hex = "ab".repeat(32);
    mkdirSync(join(stateDir, "images"));
    writeFileSync(join(stateDir, "images", `${hex}.img`), "no such image");
    const told = await started({}, stateDir);
    expect(told).toContain("agent-started");
    expect(told).toMatch(
      new RegExp(
        `^image sha256:${hex}: the file of that name is not the image.*\\. Push the image again;`,
        "m",
      ),
    );
  });
});
