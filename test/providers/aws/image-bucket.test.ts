import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AbortedError } from "../../../lib/errors";
import { estimateTransfer, indexImage, pushImage, type PushOptions } from "../../../lib/image/near";
import { openImageDirectory } from "../../../lib/image/targets";
import { inParallel } from "../../../providers/aws/image-bucket/in-parallel";
import { Bucket, ImageBucket, parseBucketAddress, pullImage } from "../../../providers/aws/image-bucket";
import { BLOCK_BYTES } from "../../../lib/image/wire";
import { fetchedIndex } from "../../lib/image/support/fetched-index";
import { bytesOf, listening, mixedImage, writeOld } from "../../lib/image/support/images";
import { writeLyingIndex } from "../../lib/image/support/lying-index";
import { describeWithMoto, SECRET, startMoto, type Moto } from "../../support/aws/moto";

const BUCKET = "images-of-a-test";
let moto: Moto;
let home: string;
let prefix = 0;
let client: S3Client;
const opened: { close(): void }[] = [];
const before = { ...process.env };

const newPlace = () => `s3://${BUCKET}/run-${++prefix}/images`;
const open = (place: string) => {
  const bucket = new ImageBucket(new Bucket(parseBucketAddress(place)));
  opened.push(bucket);
  return bucket;
};
const cacheDirectory = () => join(home, "cache");
async function push(source: string, bucket: ImageBucket, options: Partial<PushOptions> = {}) {
  const where = { cacheDirectory: cacheDirectory() };
  const result = await pushImage({
    source,
    target: bucket,
    targetName: bucket.place,
    context: listening(),
    ...where,
    ...options,
  });
  await bucket.keepIndex(result.digest, (await indexImage({ source, ...where })).indexPath);
  return result;
}
async function pull(bucket: ImageBucket, digest: string, name: string, signal?: AbortSignal) {
  const into = await openImageDirectory(join(home, name));
  try {
    const result = await pullImage({ bucket, digest, into, context: listening(signal) });
    return { ...result, bytes: readFileSync(into.path(digest)) };
  } finally {
    await into.close();
  }
}
async function keys(place: string): Promise<string[]> {
  const { prefix: under } = parseBucketAddress(place);
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: under }));
  return Contents.map(({ Key = "" }) => Key.slice(under.length));
}
const keyIn = (place: string, key: string) => parseBucketAddress(place).prefix + key;

/** A version of an image with 300 kB of new bytes in it. */
function changed(image: Buffer, seed: number, offset: number): Buffer {
  const copy = Buffer.from(image);
  bytesOf(seed, 300_000).copy(copy, offset);
  return copy;
}

describeWithMoto("images in a bucket", () => {
  beforeAll(async () => {
    moto = await startMoto();
    Object.assign(process.env, moto.environment);
    client = new S3Client({ forcePathStyle: true, endpoint: moto.endpoint });
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  }, 40_000);
  afterAll(async () => {
    client.destroy();
    await moto.stop();
    process.env = before;
  });
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "spillway-bucket-"));
  });
  afterEach(() => {
    for (const one of opened.splice(0)) one.close();
    rmSync(home, { recursive: true, force: true });
  });

  it("are pushed, and pulled as they were; the second version as a delta of the first", async () => {
    const place = newPlace();
    const [v1, v2] = [mixedImage(1, 5_000_000), changed(mixedImage(1, 5_000_000), 9, 2_000_000)];
    const first = await push(writeOld(join(home, "v1.raw"), v1), open(place));
    const second = await push(writeOld(join(home, "v2.raw"), v2), open(place));
    expect(second.sentBytes).toBeLessThan(400_000);
    const bucket = open(place);
    const pulled = await pull(bucket, second.digest, "empty");
    expect(pulled.bytes.equals(v2)).toBe(true);
    expect(pulled.bases).toEqual([first.digest]);
    // Where the first one is, only the second one's part is fetched.
    await pull(bucket, first.digest, "holds-v1");
    const delta = await pull(bucket, second.digest, "holds-v1");
    expect(delta.bytes.equals(v2)).toBe(true);
    expect(delta.fetchedBytes).toBeLessThan(400_000);
    expect((await pull(bucket, second.digest, "holds-v1")).fetchedBytes).toBe(0);
  });

  it("lie there as the layout says, with nothing left of the transfer", async () => {
    const place = newPlace();
    const image = mixedImage(2, 3_000_000);
    const { digest } = await push(writeOld(join(home, "v1.raw"), image), open(place));
    const all = await keys(place);
    const hex = digest.slice(7);
    const segments = all.filter((key) => /^segments\/[0-9a-f]{32}$/.test(key));
    expect(all.filter((key) => !segments.includes(key)).sort()).toEqual(
      ["index", "leaves", "manifest.json"].map((name) => `images/${hex}/${name}`),
    );
    const manifest = (await open(place).manifest(digest))!;
    expect(manifest).toMatchObject({ digest, sizeBytes: image.length, bases: [], depth: 1 });
    expect(manifest.segments.map(({ id }) => `segments/${id}`).sort()).toEqual(segments.sort());
  });

  it("need nothing the second time, and say so to a plan", async () => {
    const place = newPlace();
    const source = writeOld(join(home, "v1.raw"), mixedImage(3, 2_000_000));
    const before = await estimateTransfer({ source, target: open(place), cacheDirectory: cacheDirectory() });
    expect(before.estimate.sendBytes).toBeGreaterThan(2_000_000);
    const again = await estimateTransfer({ source, target: open(place), cacheDirectory: cacheDirectory() });
    expect(again.estimate).toEqual(before.estimate);
    // Who asks changes nothing there.
    expect(await keys(place)).toEqual([]);
    await push(source, open(place));
    expect(await push(source, open(place))).toMatchObject({ sentBytes: 0, segments: 0 });
    const after = await estimateTransfer({ source, target: open(place), cacheDirectory: cacheDirectory() });
    expect(after.estimate.sendBytes).toBe(0);
  });

  it("are gone on with when a push was stopped: what has arrived is not sent again", async () => {
    const place = newPlace();
    const image = bytesOf(4, 12_000_000);
    const source = writeOld(join(home, "v1.raw"), image);
    const planned = async () => {
      const bucket = open(place);
      const where = { target: bucket, targetName: bucket.place, cacheDirectory: cacheDirectory() };
      return (await estimateTransfer({ source, ...where })).estimate.sendBytes;
    };
    expect(await planned()).toBe(image.length);
    const stop = new AbortController();
    const context = listening(stop.signal);
    const bandwidth = [{ capBps: 60_000_000 }];
    const pushing = push(source, open(place), { context, bandwidth, streams: { start: 2, max: 2 } });
    const outcome = pushing.catch((error: Error) => error.name);
    while ((context.said.at(-1)?.fraction ?? 0) < 0.5)
      await new Promise((resolve) => setTimeout(resolve, 20));
    stop.abort();
    expect(await outcome).toBe("AbortedError");
    expect((await keys(place)).some((key) => key.startsWith("transfers/"))).toBe(true);
    expect(await planned()).toBeLessThan(8_000_000);
    const { digest, sentBytes } = await push(source, open(place));
    expect(sentBytes).toBeLessThan(8_000_000);
    expect((await pull(open(place), digest, "far")).bytes.equals(image)).toBe(true);
  });

  it("are pulled on where a pull was stopped", async () => {
    const place = newPlace();
    const image = bytesOf(5, 12_000_000);
    const bucket = open(place);
    const { digest } = await push(writeOld(join(home, "v1.raw"), image), bucket, {
      streams: { start: 16, max: 16 },
    });
    const stop = new AbortController();
    const into = await openImageDirectory(join(home, "far"));
    const context = { signal: stop.signal, progress: ({ fraction = 0 }) => fraction > 0.4 && stop.abort() };
    await expect(pullImage({ bucket, digest, into, context })).rejects.toThrow(/stopped/);
    await into.close();
    const rest = await pull(bucket, digest, "far");
    expect(rest.bytes.equals(image)).toBe(true);
    expect(rest.fetchedBytes).toBeLessThan(9_000_000);
  });

  it.each<[string, (key: string) => Promise<unknown>, RegExp]>([
    [
      "changed",
      async (Key) => {
        const { Body } = await client.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
        const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
        bytes[bytes.length >> 1] ^= 1;
        return client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: bytes }));
      },
      /segment [0-9a-f]{32} is damaged/,
    ],
    [
      "taken away",
      (Key) => client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key })),
      /segment [0-9a-f]{32} is not there any more/,
    ],
  ])("with a segment that was %s are refused, naming it", async (_, spoil, problem) => {
    const place = newPlace();
    const { digest } = await push(writeOld(join(home, "v1.raw"), mixedImage(6, 3_000_000)), open(place));
    const [segment] = (await open(place).manifest(digest))!.segments;
    await spoil(keyIn(place, `segments/${segment.id}`));
    await expect(pull(open(place), digest, "far")).rejects.toMatchObject({
      code: "image-corrupt",
      report: { problem: expect.stringMatching(problem), place: `${place}/segments/${segment.id}` },
    });
  });

  it("are not taken for complete while a block is missing, or wrong", async () => {
    const place = newPlace();
    const bucket = open(place);
    const id = "ab".repeat(32);
    const digest = `sha256:${"1".repeat(64)}`;
    await bucket.openTransfer(id, { sizeBytes: 5_000_000, digest });
    await expect(bucket.completeTransfer(id, digest)).rejects.toMatchObject({ code: "image-incomplete" });
    await expect(bucket.putSegment(id, "0".repeat(32), Buffer.from("no segment"))).rejects.toMatchObject({
      code: "image-corrupt",
    });
    await expect(bucket.putSegment("cd".repeat(32), "0".repeat(32), Buffer.alloc(1))).rejects.toMatchObject({
      code: "not-found",
    });
    await expect(bucket.openTransfer(id, { sizeBytes: 6_000_000 })).rejects.toMatchObject({
      code: "invalid",
    });
    expect(await fetchedIndex(bucket, digest)).toBeUndefined();
    await expect(bucket.requireManifest(digest)).rejects.toMatchObject({ code: "image-missing" });
  });

  it.each<[string, (key: string) => Promise<unknown>]>([
    ["gone", (Key) => client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key }))],
    ["cut", (Key) => client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: Buffer.from("short") }))],
  ])(
    "of which a segment is %s before the end are not taken for complete: it is sent again",
    async (_, spoil) => {
      const place = newPlace();
      const image = bytesOf(10, 6_000_000);
      const source = writeOld(join(home, "v1.raw"), image);
      const bucket = open(place);
      const complete = bucket.completeTransfer.bind(bucket);
      const ends: string[] = [];
      bucket.completeTransfer = async (...args) => {
        if (ends.length === 0) {
          const segments = (await keys(place)).filter((key) => key.startsWith("segments/"));
          await spoil(keyIn(place, segments[segments.length >> 1]));
        }
        return complete(...args).then(
          (status) => (ends.push("complete"), status),
          (error: unknown) => {
            ends.push((error as { code: string }).code);
            throw error;
          },
        );
      };
      const { digest } = await push(source, bucket, { streams: { start: 1, max: 1 } });
      expect(ends).toEqual(["image-incomplete", "complete"]);
      expect((await pull(open(place), digest, "far")).bytes.equals(image)).toBe(true);
    },
  );

  it("are pushed without the image that they were to be a delta of, once that is gone", async () => {
    const place = newPlace();
    const [v1, v2] = [bytesOf(11, 3_000_000), changed(bytesOf(11, 3_000_000), 12, 1_000_000)];
    const first = await push(writeOld(join(home, "v1.raw"), v1), open(place));
    const source = writeOld(join(home, "v2.raw"), v2);
    const stopped = open(place);
    stopped.completeTransfer = () => Promise.reject(new AbortedError("stopped"));
    await expect(push(source, stopped)).rejects.toThrow("stopped");
    const Key = keyIn(place, `images/${first.digest.slice(7)}/manifest.json`);
    await client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key }));
    const { digest, sentBytes } = await push(source, open(place));
    expect(sentBytes).toBeGreaterThan(2_500_000);
    const pulled = await pull(open(place), digest, "far");
    expect(pulled.bytes.equals(v2)).toBe(true);
    expect(pulled.bases).toEqual([]);
  });

  it("are put together right, though an index there claims bytes that it does not have", async () => {
    const place = newPlace();
    const [v1, claimed] = [bytesOf(21, 4 * BLOCK_BYTES), bytesOf(22, 4 * BLOCK_BYTES)];
    const first = await push(writeOld(join(home, "v1.raw"), v1), open(place));
    const lie = join(home, "lie");
    expect(await writeLyingIndex(lie, v1, claimed)).toBe(first.digest);
    const Key = keyIn(place, `images/${first.digest.slice(7)}/index`);
    await client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: readFileSync(lie) }));
    // From another machine, which knows nothing of the first version but what the bucket says.
    const elsewhere = { cacheDirectory: join(home, "elsewhere") };
    const v2 = Buffer.concat([v1.subarray(0, 3 * BLOCK_BYTES), claimed.subarray(3 * BLOCK_BYTES)]);
    const source = writeOld(join(home, "v2.raw"), v2);
    const bucket = open(place);
    const where = { target: bucket, targetName: place, ...elsewhere };
    const { estimate } = await estimateTransfer({ source, ...where });
    expect(estimate.sendBytes).toBe(BLOCK_BYTES);
    const { digest, sentBytes } = await pushImage({ source, context: listening(), ...where });
    // Whole blocks leave no doubt; of what only shares chunks, nothing is copied.
    expect(sentBytes).toBeGreaterThan(BLOCK_BYTES);
    expect(sentBytes).toBeLessThan(1.1 * BLOCK_BYTES);
    const pulled = await pull(open(place), digest, "far");
    expect(pulled.bytes.equals(v2)).toBe(true);
    expect(pulled.bases).toEqual([first.digest]);
  });

  it("form no longer chains of deltas than a pull would replay", async () => {
    const place = newPlace();
    let image = bytesOf(7, 2_000_000);
    const depths: number[] = [];
    let last = "";
    for (let version = 0; version < 10; version++) {
      // Each keeps only the version before: chains grow as long as they may.
      image = changed(image, 100 + version, 100_000 + version * 10_000);
      const { digest } = await push(writeOld(join(home, `v${version}.raw`), image), open(place));
      depths.push((await open(place).manifest(digest))?.depth ?? 0);
      last = digest;
    }
    expect(Math.max(...depths)).toBeLessThanOrEqual(8);
    expect((await pull(open(place), last, "far")).bytes.equals(image)).toBe(true);
  });

  it("of two pushes at once end well, both", async () => {
    const place = newPlace();
    const image = mixedImage(8, 3_000_000);
    const source = writeOld(join(home, "v1.raw"), image);
    const [one, two] = await Promise.all([
      push(source, open(place), { cacheDirectory: join(home, "one") }),
      push(source, open(place), { cacheDirectory: join(home, "two") }),
    ]);
    expect(one.digest).toBe(two.digest);
    expect((await pull(open(place), one.digest, "far")).bytes.equals(image)).toBe(true);
  });

  it("lie below any prefix, in any number", async () => {
    const bucket = new Bucket(parseBucketAddress(`s3://${BUCKET}/a prefix & more+än/x`), {
      listedAtOnce: 10,
    });
    opened.push(bucket);
    const names = Array.from({ length: 25 }, (_, i) => `many/${String(i).padStart(5, "0")}`);
    await inParallel(names, (name) => bucket.put(name, Buffer.from("x")));
    expect((await bucket.list("many/")).map(({ key }) => key)).toEqual(names);
    expect(await bucket.get("many/00007")).toEqual(Buffer.from("x"));
    await bucket.delete(names);
    expect(await bucket.list("many/")).toEqual([]);
    expect(await bucket.putNew("one", Buffer.from("first"))).toBe(true);
    expect(await bucket.putNew("one", Buffer.from("second"))).toBe(false);
    expect(String(await bucket.get("one"))).toBe("first");
  });

  it("that are not where they are looked for are told apart, and no secret is told", async () => {
    const wrong = new ImageBucket(new Bucket(parseBucketAddress("s3://no-such-bucket-here/x")));
    opened.push(wrong);
    const error = await wrong.connect().catch((thrown: Error) => thrown);
    expect(error).toMatchObject({
      code: "invalid",
      report: { problem: `there is no bucket "no-such-bucket-here"` },
    });
    expect(JSON.stringify(error) + String((error as Error).stack)).not.toContain(SECRET);
  });

  it("behind a service that nobody answers at are told with its address, within seconds", async () => {
    const bucket = new Bucket(parseBucketAddress(newPlace()), { endpointUrl: "http://127.0.0.1:9" });
    await expect(bucket.list("images/")).rejects.toMatchObject({
      code: "unreachable",
      report: { problem: expect.stringMatching(/ECONNREFUSED/) },
    });
  });
});

describe("what a bucket's service says", () => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  async function answering(status: number, code: string, extra = ""): Promise<Bucket> {
    server = createServer((_, response) => {
      response.writeHead(status, { "content-type": "application/xml" });
      response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message>${extra}</Error>`);
    });
    await new Promise<void>((listening_) => server?.listen(0, "127.0.0.1", listening_));
    const { port } = server.address() as AddressInfo;
    const credentials = { accessKeyId: "AKIAEXAMPLE", secretAccessKey: SECRET };
    const options = { endpointUrl: `http://127.0.0.1:${port}`, client: { credentials, maxAttempts: 1 } };
    return new Bucket(parseBucketAddress("s3://some-bucket/p"), options);
  }

  it.each([
    [403, "AccessDenied", "unauthorized", /may not list objects/, /s3:ListBucket/],
    [403, "InvalidAccessKeyId", "unauthorized", /credentials were refused/, /credentials/],
    [403, "SignatureDoesNotMatch", "unauthorized", /credentials were refused/, /credentials/],
    [400, "ExpiredToken", "unauthorized", /expired/, /Renew/],
    [403, "RequestTimeTooSkewed", "invalid", /clock/, /NTP/],
    [400, "AuthorizationHeaderMalformed", "invalid", /another region: eu-west-1/, /AWS_REGION=eu-west-1/],
    [507, "XMinioStorageFull", "disk-full", /takes no more/, /room/],
    [503, "SlowDown", "slow", /503/, /again/],
    [418, "Teapot", "invalid", /Teapot/, /aws s3 ls/],
  ])("%d %s is told as what it is", async (status, name, code, problem, mend) => {
    const bucket = await answering(status, name, "<Region>eu-west-1</Region>");
    await expect(bucket.list("x")).rejects.toMatchObject({
      code,
      report: {
        place: "s3://some-bucket/p",
        problem: expect.stringMatching(problem),
        mend: expect.stringMatching(mend),
      },
    });
    bucket.close();
  });

  it("is given up in the middle of an object that does not go on", async () => {
    server = createServer((_, response) => {
      response.writeHead(200, { "content-length": 1_000_000 });
      response.write(Buffer.alloc(1_000));
    });
    await new Promise<void>((listening_) => server?.listen(0, "127.0.0.1", listening_));
    const { port } = server.address() as AddressInfo;
    const credentials = { accessKeyId: "AKIAEXAMPLE", secretAccessKey: SECRET };
    const options = { endpointUrl: `http://127.0.0.1:${port}`, client: { credentials, maxAttempts: 1 } };
    const bucket = new ImageBucket(new Bucket(parseBucketAddress("s3://some-bucket/p"), options));
    const stop = new AbortController();
    let taken = 0;
    const take = async ({ length }: Uint8Array) => {
      taken += length;
      setTimeout(() => stop.abort(), 100);
    };
    const fetching = bucket.fetchIndex(`sha256:${"0".repeat(64)}`, take, { signal: stop.signal });
    await expect(fetching).rejects.toBeInstanceOf(AbortedError);
    expect(taken).toBe(1_000);
    bucket.close();
    server.closeAllConnections();
  });

  it.each(["s3:/bucket", "s3://", "https://bucket/x", "s3://bucket/x?y"])(
    "%s is no address of a bucket",
    (text) => {
      expect(() => parseBucketAddress(text)).toThrow(/s3:\/\/bucket\/prefix/);
    },
  );
});
