import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  loadManifest,
  siteObserver,
  type BurstManifest,
  type BurstPlatform,
  type CloudPlatform,
} from "../../../lib/hook";
import { shiftAheadOf } from "../../../lib/hook/shift-ahead";
import { AbortedError, SpillwayError } from "../../../lib/errors";
import { MANIFEST } from "./support/stack";

const PLATFORM: BurstPlatform = {
  ...{ kind: "aws", region: "eu-central-1", autoScalingGroup: "shop", targetGroup: "shop" },
  ...{ loadBalancer: "shop", zone: "example.test", homeIdentifier: "home", cloudIdentifier: "cloud" },
};
const AWS: BurstManifest = {
  ...MANIFEST,
  platform: PLATFORM,
  record: { name: "shop.example.test", ttlSeconds: 30 },
  sites: { [MANIFEST.onPrem.site]: { endpoint: "http://127.0.0.1:1" } },
  addresses: {
    ...MANIFEST.addresses,
    cloudRecord: "aws_route53_record.cloud",
    also: { "aws_lb.shop": "pool" },
  },
};
const SEEN = {
  ...{ members: 3, membersUp: 2, demandRps: 50, sessions: 7, openConnections: 9, p95Ms: 12, failedTotal: 1 },
  lateByMs: 90_000,
};

let project: string;
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "spillway-platform-"));
});
afterEach(() => rmSync(project, { recursive: true, force: true }));

function load(manifest: object): BurstManifest {
  writeFileSync(join(project, "spillway.json"), JSON.stringify({ bursts: { shop: manifest } }));
  return loadManifest(project).manifest;
}

const platform = (parts: Partial<CloudPlatform> = {}): CloudPlatform => ({
  look: () => Promise.resolve(SEEN),
  weights: () => Promise.resolve({ onprem: 60, cloud: 40 }),
  close: () => undefined,
  ...parts,
});
const observe = (given: CloudPlatform | undefined, signal = new AbortController().signal) =>
  siteObserver({ manifest: AWS, timeoutMs: 500, ...(given ? { platform: given } : {}) })(signal);

test("a manifest may name a platform in place of the cloud's site, and no name server", () => {
  expect(load(AWS)).toMatchObject({ platform: PLATFORM, record: AWS.record });
  expect(load(AWS).sites).toEqual(AWS.sites);
});

test("all that is wrong in what it says of the platform is told at once", () => {
  const broken = {
    ...AWS,
    platform: { ...PLATFORM, kind: "azure", region: "", zone: 1 },
    addresses: { ...AWS.addresses, cloudRecord: 1, also: { "aws_lb.shop": "balancer" } },
    prePosition: { source: "shop.raw", everyMs: 60_000 },
  };
  const message = (() => {
    try {
      load(broken);
      return "";
    } catch (error) {
      return String(error);
    }
  })();
  for (const what of [
    "platform.kind",
    "platform.region",
    "platform.zone",
    "addresses.cloudRecord",
    "aws_lb.shop",
  ])
    expect(message).toContain(what);
  expect(message).toContain("`prePosition` needs an agent at the cloud");
});

test("without a platform the record needs a name server, and the cloud an agent", () => {
  const { platform: _, ...agentless } = AWS;
  expect(() => load(agentless)).toThrow(/record.nameServerSite[^]*cloud.site/);
});

test("the cloud's figures and the record's weights are the platform's", async () => {
  const seen = await observe(platform());
  expect(seen.cloud).toMatchObject({ site: "cloud", reachable: true, ...SEEN });
  expect(seen.recordWeights).toEqual({ onprem: 60, cloud: 40 });
  expect(seen.onPrem.reachable).toBe(false);
  expect(seen.replicaBytesLeft).toBe(0);
});

test("a platform that cannot be asked makes the cloud unreachable and the weights unknown, and nothing else fails", async () => {
  const fails = () =>
    Promise.reject(
      new SpillwayError({ place: "AWS", problem: "the AWS credentials have expired", mend: "Renew them." }),
    );
  const seen = await observe(platform({ look: fails, weights: fails }));
  expect(seen.cloud).toMatchObject({
    ...{ reachable: false, unseen: true, problem: "the AWS credentials have expired" },
  });
  expect(seen.recordWeights).toBeUndefined();
  expect((await observe(undefined)).cloud).toMatchObject({ reachable: false });
});

test("whoever stops it is told at once", async () => {
  const stopped = () => Promise.reject(new AbortedError("stopped"));
  await expect(observe(platform({ look: stopped }), AbortSignal.abort())).rejects.toThrow();
});

test("no TTL is lowered where no agent answers for the name", () => {
  expect(shiftAheadOf(AWS, new AbortController().signal)).toBeUndefined();
  expect(shiftAheadOf(MANIFEST, new AbortController().signal)).toBeDefined();
});
