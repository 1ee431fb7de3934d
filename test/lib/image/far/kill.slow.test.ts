import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BLOCK_BYTES } from "../../../../lib/image/wire";
import { sleep } from "../../../../lib/wait";
import { bytesOf, scratch } from "../support/images";
import { arrivedBlocks, digestOfImage, segmentsOf, transferId, type TestSegment } from "./support/segments";
import { StoreProcesses, type StoreProcess } from "./support/processes";

const directory = scratch();
const processes = new StoreProcesses();
afterEach(() => processes.killAll());
afterAll(directory.remove);

const id = transferId(1);

/** Sends what is missing, and completes the image; undefined when the store was killed meanwhile. */
async function push(
  store: StoreProcess,
  digest: string,
  sizeBytes: number,
  segments: readonly TestSegment[],
): Promise<unknown> {
  try {
    const { arrived, complete } = await store.open(id, sizeBytes, digest);
    if (complete) return complete;
    const present = new Set(arrivedBlocks(arrived ?? ""));
    await Promise.all(
      segments.filter((_, block) => !present.has(block)).map((segment) => store.put(id, segment)),
    );
    return (await store.complete(id, digest)) as unknown;
  } catch {
    return undefined;
  }
}

describe("a store that is killed again and again under two pushes of one transfer", () => {
  it.each([1, 2])(
    "ends with the newer version of a source that was changed in between, round %d",
    async (round) => {
      const path = join(directory.path, `store-${round}`);
      const before = bytesOf(round, 24 * BLOCK_BYTES);
      const after = Buffer.from(before);
      for (let block = 0; block < 24; block += 5)
        after.fill(0, block * BLOCK_BYTES + 4_096, (block + 1) * BLOCK_BYTES);
      const versions = [before, after];
      const sent = await Promise.all(versions.map((bytes) => segmentsOf(bytes, 1)));
      const digests = versions.map(digestOfImage);
      for (let kills = 0; kills < 12; kills++) {
        const store = await processes.start(path);
        // Before it is complete: the older version while the kills are early.
        const version = kills < 4 ? 0 : 1;
        const few = sent[version].slice(0, 2 + kills * 2 - version * 8);
        let taken = 0;
        await new Promise<void>((resolve) => {
          const note = () => (taken++ === (kills * round) % 5 ? resolve() : undefined);
          const sendAll = () => Promise.all(few.map((segment) => store.put(id, segment).then(note)));
          const one = () =>
            store
              .open(id, before.length)
              .then(sendAll)
              .catch(() => undefined);
          void Promise.all([one(), one()]).then(() => resolve());
        });
        await sleep((kills * 7 * round) % 25);
        await store.kill();
      }
      const store = await processes.start(path);
      const present = arrivedBlocks((await store.open(id, after.length)).arrived ?? "");
      expect(present.length).toBeGreaterThan(0);
      for (const segment of sent[1]) await store.put(id, segment);
      const done = await Promise.all([0, 1].map(() => push(store, digests[1], after.length, sent[1])));
      for (const status of done) expect(status).toMatchObject({ complete: true });
      expect(readFileSync(join(path, `${digests[1].slice("sha256:".length)}.img`)).equals(after)).toBe(true);
    },
  );
});
