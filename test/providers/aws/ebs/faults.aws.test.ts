import { join } from "node:path";
import { messageOf } from "../../../../lib/errors";
import { dropSnapshot } from "../../../../lib/steps";
import type { EbsService } from "../../../../providers/aws/ebs";
import { bytesOf, listening, writeOld } from "../../../lib/image/support/images";
import { describeWithMoto, SECRET, startMoto, type Moto } from "../../../support/aws/moto";
import { FaultProxy, type Call, type Fault } from "./support/fault-proxy";
import { bytesIn, Home, openEbs, ours } from "./support/region";

const BLOCK = 512 * 1024;
const BLOCKS = 30;
let moto: Moto;
let proxy: FaultProxy;
let home: Home;
let ebs: EbsService;
let image: Buffer;
let path: string;
const before = { ...process.env };

const isPut = ({ name }: Call) => name === "PutSnapshotBlock";
/** The same fault for the first so many calls that it is about. */
function first(times: number, about: (call: Call) => boolean, fault: Fault): void {
  let left = times;
  proxy.fault = (call) => (about(call) && left-- > 0 ? fault : undefined);
}
const failure = (work: Promise<unknown>) =>
  work.then(
    () => "nothing failed",
    (error: unknown) => messageOf(error),
  );

describeWithMoto("a snapshot in trouble", () => {
  beforeAll(async () => {
    moto = await startMoto();
  }, 40_000);
  afterAll(() => moto.stop());
  let seed = 0;
  beforeEach(async () => {
    proxy = await FaultProxy.before(moto.endpoint);
    Object.assign(process.env, moto.environment, { AWS_ENDPOINT_URL: proxy.endpoint });
    home = new Home();
    ebs = await openEbs();
    image = bytesOf((seed += 10), BLOCKS * BLOCK);
    path = writeOld(join(home.path, "shop.raw"), image);
  });
  afterEach(async () => {
    ebs.close();
    home.remove();
    await proxy.close();
    process.env = { ...before };
  });

  const arrives = async (options: object = {}) => {
    const made = await home.push(path, ebs, options);
    proxy.fault = () => undefined;
    expect((await bytesIn(ebs, made.snapshotId)).equals(image)).toBe(true);
    return made;
  };

  it.each<[string, Fault]>([
    ["throttled", { status: 400, type: "RequestThrottledException" }],
    ["answered 503", { status: 503, type: "ServiceUnavailable" }],
    ["answered 500", { status: 500, type: "InternalServerException" }],
    ["cut off", "drop"],
  ])("that is %s again and again arrives whole, each block once", async (_, fault) => {
    let calls = 0;
    proxy.fault = (call) => (isPut(call) && ++calls % 4 === 0 ? fault : undefined);
    await arrives();
    expect(new Set(proxy.puts()).size).toBe(BLOCKS);
    expect(proxy.puts().length).toBeLessThanOrEqual(Math.ceil((BLOCKS * 4) / 3) + 1);
    expect(proxy.count("StartSnapshot")).toBe(1);
  });

  it("waits as long as it is told to, all requests together", async () => {
    first(1, isPut, { status: 503, type: "SlowDown", headers: { "retry-after": "2" } });
    await arrives();
    const puts = proxy.calls.filter(isPut).map(({ at }) => at);
    const gaps = puts.slice(1).map((at, i) => at - puts[i]!);
    expect(Math.max(...gaps)).toBeGreaterThan(1_500);
  });

  it("gives up a request that is not answered, and sends it again", async () => {
    first(3, isPut, "hang");
    await arrives();
    expect(proxy.puts()).toHaveLength(BLOCKS + 3);
  });

  it("sends a block again that the service has with another checksum, and says which one if that goes on", async () => {
    const wrong = { headersOfAnswer: { "x-amz-checksum": Buffer.alloc(32).toString("base64") } };
    first(2, isPut, wrong);
    await arrives();
    expect(proxy.puts()).toHaveLength(BLOCKS + 2);
    const other = writeOld(join(home.path, "other.raw"), bytesOf(seed + 1, 2 * BLOCK));
    proxy.fault = (call) => (isPut(call) && call.block === 1 ? wrong : undefined);
    expect(await failure(home.push(other, ebs))).toMatch(/block 1 of snap-\w+ did not arrive as it was sent/);
  });

  it("waits while the snapshot that was begun is not known yet", async () => {
    const from = Date.now();
    proxy.fault = (call) =>
      isPut(call) && Date.now() - from < 3_500
        ? { status: 404, type: "ResourceNotFoundException", message: "The snapshot does not exist." }
        : undefined;
    await arrives();
    expect(Date.now() - from).toBeGreaterThan(3_000);
    expect(proxy.count("StartSnapshot")).toBe(1);
  });

  it("is begun anew where it is never known, a few times, and then told", async () => {
    proxy.fault = (call) =>
      isPut(call) ? { status: 404, type: "ResourceNotFoundException", message: "does not exist" } : undefined;
    expect(await failure(home.push(path, ebs, { unknownMs: 100 }))).toMatch(/there is no snapshot snap-/);
    expect(proxy.count("StartSnapshot")).toBe(3);
    proxy.fault = () => undefined;
    const made = await arrives();
    const left = (await ours(ebs)).filter(({ tags }) => tags["spillway:image"] === made.digest);
    expect(left.map(({ id }) => id)).toEqual([made.snapshotId]);
  }, 60_000);

  it.each<[string, string, RegExp]>([
    ["ExpiredTokenException", "", /credentials have expired .*aws sso login/],
    ["AccessDeniedException", "not authorized", /may not ebs:PutSnapshotBlock .*Allow ebs:PutSnapshotBlock/],
    ["AccessDeniedException", "the KMS key is disabled", /the KMS key may not be used .*kms:GenerateDataKey/],
    ["UnrecognizedClientException", "", /credentials were refused/],
    ["ServiceQuotaExceededException", "", /a quota of the account is used up/],
  ])("says what is to be done about %s (%s), and goes on where it was", async (type, message, told) => {
    let taken = 0;
    proxy.fault = (call) => (isPut(call) && ++taken > 10 ? { status: 403, type, message } : undefined);
    const text = await failure(home.push(path, ebs, { streams: 4 }));
    expect(text).toMatch(told);
    expect(text).not.toContain(SECRET);
    const sent = Math.min(10, taken);
    proxy.calls.length = 0;
    proxy.fault = () => undefined;
    const made = await arrives();
    expect(made.sentBytes).toBe((BLOCKS - sent) * BLOCK);
    expect(proxy.count("StartSnapshot")).toBe(0);
  });

  it("begins no second snapshot when the answer to the first is lost", async () => {
    const starts: string[] = [];
    first(1, ({ name }) => name === "StartSnapshot", "drop");
    const seen = proxy.fault;
    proxy.fault = (call) => {
      if (call.name === "StartSnapshot") starts.push(call.name);
      return seen(call);
    };
    const { digest } = await arrives();
    expect(starts).toHaveLength(2);
    expect((await ours(ebs)).filter(({ tags }) => tags["spillway:image"] === digest)).toHaveLength(1);
  });

  it("gives up when nothing succeeds any more, and says what failed last", async () => {
    proxy.fault = (call) => (isPut(call) ? { status: 500, type: "InternalServerException" } : undefined);
    expect(await failure(home.push(path, ebs, { patienceMs: 1_500 }))).toMatch(
      /nothing succeeded for .*; the last failure: .*PutSnapshotBlock with 500/,
    );
  });

  it("stops at once when it is told to", async () => {
    proxy.delayMs = 300;
    const stop = new AbortController();
    const pushing = failure(home.push(path, ebs, { context: listening(stop.signal), streams: 2 }));
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const from = Date.now();
    stop.abort();
    expect(await pushing).toMatch(/stopped/);
    expect(Date.now() - from).toBeLessThan(500);
  });

  it("takes no more of the link than it may, and says so in its pace", async () => {
    const from = Date.now();
    await arrives({ bandwidth: [{ capBps: 30_000_000 }] });
    const expected = (BLOCKS * BLOCK * 8) / 30_000;
    expect(Date.now() - from).toBeGreaterThan(expected * 0.8);
    expect(new Set(proxy.puts()).size).toBe(BLOCKS);
  });

  it("in two pushes at once is made once", async () => {
    const [one, other] = await Promise.all([home.push(path, ebs), home.push(path, ebs)]);
    expect(one.snapshotId).toBe(other.snapshotId);
    expect(proxy.count("StartSnapshot")).toBe(1);
    expect(proxy.puts()).toHaveLength(BLOCKS);
  });

  it("is made where nobody may ask whether the account encrypts by default", async () => {
    proxy.fault = ({ name }) =>
      name === "ec2:GetEbsEncryptionByDefault" ? { status: 403, type: "UnauthorizedOperation" } : undefined;
    await arrives();
  });
});

const IMAGES =
  "<DescribeImagesResponse><imagesSet><item><imageId>ami-0123</imageId><name>shop-1</name></item></imagesSet></DescribeImagesResponse>";

describeWithMoto("a snapshot that a machine image uses", () => {
  it("is waited for, and then not deleted: the machine image is named", async () => {
    const own = await startMoto();
    Object.assign(process.env, own.environment);
    const folder = new Home();
    const service = await openEbs();
    try {
      const made = await folder.push(writeOld(join(folder.path, "shop.raw"), bytesOf(1, BLOCK)), service);
      const inFront = await FaultProxy.before(own.endpoint);
      // The emulator makes a snapshot of its own for each machine image.
      inFront.fault = ({ name }) => {
        if (name === "ec2:DeleteSnapshot") return { status: 400, type: "InvalidSnapshot.InUse" };
        return name === "ec2:DescribeImages" ? { answer: IMAGES } : undefined;
      };
      process.env.AWS_ENDPOINT_URL = inFront.endpoint;
      const faulty = await openEbs();
      const what = { id: made.snapshotId, digest: made.digest, region: "us-east-1" };
      const text = await failure(dropSnapshot(faulty, what, listening(), 1_000));
      expect(text).toContain(`is in use by the machine image ami-0123 (shop-1)`);
      expect(inFront.count("ec2:DeleteSnapshot")).toBeGreaterThan(1);
      // It was deregistered meanwhile.
      setTimeout(() => (inFront.fault = () => undefined), 500);
      await dropSnapshot(faulty, what, listening(), 2_000);
      expect(await service.get(made.snapshotId, {})).toBeUndefined();
      faulty.close();
      await inFront.close();
    } finally {
      service.close();
      folder.remove();
      await own.stop();
      process.env = { ...before };
    }
  }, 60_000);
});
