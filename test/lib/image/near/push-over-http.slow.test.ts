import { readFileSync } from "node:fs";
import { join } from "node:path";
import { openImageStore, type ImageStore } from "../../../../lib/image/far";
import { pushImage, type PushOptions } from "../../../../lib/image/near";
import { sleep } from "../../../../lib/wait";
import { bytesOf, listening, scratch, writeOld } from "../support/images";
import { SiteServer, verbOf, type Fate } from "../support/site-server";

const directory = scratch();
const cacheDirectory = join(directory.path, "cache");
let store: ImageStore;
let server: SiteServer;
let number = 0;

const open = (path: string) => openImageStore({ directory: path, site: "cloud" });
const place = () => join(directory.path, `store-${number}`);

beforeEach(async () => {
  number++;
  store = await open(place());
  server = new SiteServer(store);
  await server.start();
});
afterEach(async () => {
  await server.stop();
  await server.store.close();
});
afterAll(directory.remove);

/** Enough for a number of segments. */
const IMAGE_BYTES = 24_000_000;

/** Pushes noise, so that several segments meet their fate, and compares what arrived. */
async function pushed(fate: Fate, options: Partial<PushOptions> = {}) {
  server.fate = fate;
  const bytes = bytesOf(number, IMAGE_BYTES);
  const source = writeOld(join(directory.path, `image-${number}`), bytes);
  const client = server.client();
  const context = listening();
  try {
    const result = await pushImage({
      source,
      target: client,
      context,
      cacheDirectory,
      ...options,
    });
    expect(readFileSync(server.store.path(result.digest)).equals(bytes)).toBe(true);
    return { ...result, said: context.said.map((progress) => progress.message) };
  } finally {
    client.close();
  }
}

/** Happens to every n-th segment. */
function every(n: number, fate: Fate): Fate {
  let count = 0;
  return (request, body) => (verbOf(request) === "segment" && ++count % n === 0 ? fate(request, body) : body);
}

describe("a push over HTTP", () => {
  it("brings the image over", async () => {
    expect(await pushed((_request, body) => body)).toMatchObject({ sizeBytes: IMAGE_BYTES, presentBytes: 0 });
  });

  it("survives flipped bits in every second segment: none gets through", async () => {
    let flips = 0;
    await pushed(
      every(2, (_request, body) => {
        flips++;
        body[(flips * 7_919) % body.length] ^= 1 << (flips % 8);
        return body;
      }),
    );
    expect(flips).toBeGreaterThan(0);
  });

  it("survives bodies that were cut short", () =>
    pushed(every(2, (_request, body) => body.subarray(0, body.length / 2))));

  it("survives connections that break before an answer, and after the segment was taken", async () => {
    let turn = 0;
    await pushed(every(2, () => (++turn % 2 === 0 ? "reset" : "reset after")));
    expect(turn).toBeGreaterThan(0);
  });

  it("survives an opening that arrived as garbage, and a completion whose answer was lost", async () => {
    const met = new Set<string>();
    await pushed((request, body) => {
      const verb = verbOf(request);
      if (verb === "segment" || met.has(verb)) return body;
      met.add(verb);
      return verb === "open" ? "reset" : "reset after";
    });
    expect([...met].sort()).toEqual(["complete", "open"]);
  });

  it("waits for a slow site", () =>
    pushed(async (_request, body) => {
      await sleep(100);
      return body;
    }));

  it("goes on when the site's agent is started again in the middle", async () => {
    let taken = 0;
    let restarted: Promise<void> | undefined;
    const restart = async () => {
      await server.stop();
      await server.store.close();
      await sleep(1_500);
      server.store = await open(place());
      await server.start();
    };
    const { said } = await pushed(
      (request, body) => {
        if (verbOf(request) === "segment" && ++taken === 2) restarted = restart();
        return body;
      },
      { streams: { start: 1, max: 1 } },
    );
    await restarted;
    expect(restarted).toBeDefined();
    expect(said.some((message) => message.startsWith("trying again in"))).toBe(true);
    expect(server.seen.filter((verb) => verb === "complete").length).toBe(1);
  });
});
