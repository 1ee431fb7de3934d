import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { previewSnapshot, verifySnapshot } from "../../../../lib/image/snapshot";
import { sleep } from "../../../../lib/wait";
import type { EbsService } from "../../../../providers/aws/ebs";
import { bytesOf, listening, mixedImage, writeOld } from "../../../lib/image/support/images";
import { describeWithMoto, startMoto, type Moto } from "../../../support/aws/moto";
import { bytesIn, Home, openEbs, ours, written } from "./support/region";

const BLOCK = 512 * 1024;
let moto: Moto;
let home: Home;
let ebs: EbsService;
const before = { ...process.env };

describeWithMoto("an image as an EBS snapshot", () => {
  beforeEach(async () => {
    moto = await startMoto();
    Object.assign(process.env, moto.environment);
    home = new Home();
    ebs = await openEbs();
  }, 40_000);
  afterEach(async () => {
    ebs.close();
    home.remove();
    await moto.stop();
    process.env = { ...before };
  });

  it("holds the image byte for byte, and is verified by reading it again", async () => {
    const image = mixedImage(1, 5_000_000);
    const made = await home.push(writeOld(join(home.path, "v1.raw"), image), ebs);
    expect((await bytesIn(ebs, made.snapshotId)).equals(image)).toBe(true);
    const snapshot = (await ebs.get(made.snapshotId, {}))!;
    const { digest } = made;
    expect(await verifySnapshot({ service: ebs, snapshot, digest, context: listening() })).toEqual({
      sizeBytes: image.length,
    });
    const other = `sha256:${"0".repeat(64)}`;
    await expect(
      verifySnapshot({ service: ebs, snapshot, digest: other, context: listening() }),
    ).rejects.toThrow(`is not the image ${other}; it is ${digest}`);
  });

  it("is there at once when it is pushed unchanged, and no second one is made", async () => {
    const path = writeOld(join(home.path, "v1.raw"), mixedImage(2, 2_000_000));
    const first = await home.push(path, ebs);
    const again = await home.push(path, ebs);
    expect(again).toMatchObject({ snapshotId: first.snapshotId, sentBytes: 0, wasThere: true });
    const elsewhere = new Home();
    const other = await elsewhere.push(path, ebs);
    elsewhere.remove();
    expect(other).toMatchObject({ snapshotId: first.snapshotId, sentBytes: 0, wasThere: true });
    expect(await ours(ebs)).toHaveLength(1);
  });

  it("takes only the blocks of the second version that changed, with zeros where there was something", async () => {
    const v1 = bytesOf(3, 20 * BLOCK);
    const v2 = Buffer.from(v1);
    bytesOf(4, 1_000).copy(v2, 3 * BLOCK + 7);
    v2.fill(0, 9 * BLOCK, 11 * BLOCK);
    const path = writeOld(join(home.path, "shop.raw"), v1);
    const first = await home.push(path, ebs);
    writeOld(path, v2);
    const preview = await previewSnapshot({
      ...{ source: path, service: ebs, context: listening(), cacheDirectory: home.cacheDirectory },
    });
    expect(preview).toMatchObject({ parentId: first.snapshotId, estimate: { sendBytes: 3 * BLOCK } });
    const second = await home.push(path, ebs);
    expect(second).toMatchObject({ parentId: first.snapshotId, sentBytes: 3 * BLOCK });
    expect(await written(ebs, second.snapshotId)).toEqual([3, 9, 10]);
    expect((await bytesIn(ebs, second.snapshotId)).equals(v2)).toBe(true);
  });

  it("finds out what a parent consists of where this side has forgotten it", async () => {
    const versions = [0, 1, 2].map((version) => {
      const image = bytesOf(5, 12 * BLOCK);
      for (let block = 1; block <= version; block++) bytesOf(6, 100).copy(image, block * BLOCK);
      return image;
    });
    const path = join(home.path, "shop.raw");
    for (const image of versions.slice(0, 2)) {
      await home.push(writeOld(path, image), ebs);
      // A snapshot's time is told in whole seconds: the newest is to be the parent.
      await sleep(1_100);
    }
    const elsewhere = new Home();
    const third = await elsewhere.push(writeOld(path, versions[2]!), ebs);
    elsewhere.remove();
    expect(await written(ebs, third.snapshotId)).toEqual([2]);
    expect((await bytesIn(ebs, third.snapshotId)).equals(versions[2]!)).toBe(true);
  });

  it("leaves out what is free and never was written, and nothing of an encrypted one", async () => {
    const path = join(home.path, "sparse.raw");
    writeFileSync(path, bytesOf(8, BLOCK));
    truncateSync(path, 200 * BLOCK);
    const plain = await home.push(path, ebs);
    expect(await written(ebs, plain.snapshotId)).toEqual([0]);
    const secret = await home.push(path, ebs, { settings: { kmsKeyId: "arn:aws:kms:us-east-1:1:key/k" } });
    expect(secret.sentBytes).toBe(2048 * BLOCK);
  }, 60_000);
});
