import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { loadManifest } from "../../../lib/hook";
import { MANIFEST } from "./support/stack";

let project: string;

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "spillway-manifest-"));
});

afterEach(() => rmSync(project, { recursive: true, force: true }));

function write(path: string, value: unknown): void {
  const file = join(project, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, typeof value === "string" ? value : JSON.stringify(value));
}

const synthesised = (bursts: unknown) => ({ "//": { metadata: {}, spillway: { bursts } }, resource: {} });

test("a burst is found in a synthesised stack, with the folder Terraform runs in", () => {
  write("cdktf.out/stacks/shop/cdk.tf.json", synthesised({ shop: MANIFEST }));
  write("cdktf.out/stacks/other/cdk.tf.json", { resource: {} });
  expect(loadManifest(project)).toEqual({
    manifest: MANIFEST,
    directories: { project, stack: join(project, "cdktf.out", "stacks", "shop") },
  });
});

test("another output folder of cdktf.json is followed", () => {
  write("cdktf.json", { output: "build" });
  write("build/stacks/shop/cdk.tf.json", synthesised({ shop: MANIFEST }));
  expect(loadManifest(project).directories.stack).toBe(join(project, "build", "stacks", "shop"));
});

test("a burst is found in spillway.json of plain HCL, its paths made absolute, its name taken from the key", () => {
  const { name: _, ...rest } = MANIFEST;
  const sites = {
    onprem: { endpoint: "http://127.0.0.1:1", tokenFile: "secrets/token", caFile: "/etc/ca.pem" },
    cloud: { endpoint: "http://127.0.0.1:2" },
  };
  write("spillway.json", { bursts: { web: { ...rest, sites } } });
  const { manifest, directories } = loadManifest(project);
  expect(manifest).toMatchObject({
    name: "web",
    sites: { onprem: { tokenFile: join(project, "secrets/token"), caFile: "/etc/ca.pem" } },
  });
  expect(directories).toEqual({ project, stack: project });
});

test("how an image is kept near is read with its path made absolute, and refused with all that is wrong in it", () => {
  const prePosition = { source: "images/shop.tar", everyMs: 60_000, windows: ["22:00-06:00 10Mbit"] };
  write("spillway.json", { bursts: { shop: { ...MANIFEST, prePosition } } });
  expect(loadManifest(project).manifest.prePosition).toEqual({
    ...prePosition,
    source: join(project, "images/shop.tar"),
  });
  const broken = { source: "", everyMs: "daily", cap: "off", windows: "22:00-06:00", seed: {} };
  write("spillway.json", { bursts: { shop: { ...MANIFEST, prePosition: broken } } });
  expect(() => loadManifest(project)).toThrow(
    /^5 problems\n.*`prePosition.source`.*\n.*`prePosition.everyMs`.*\n.*`prePosition.cap` must not be off.*\n.*`prePosition.windows` must be a list.*\n.*`prePosition.seed.storagePricePerGbMonth`/,
  );
  write("spillway.json", { bursts: { shop: { ...MANIFEST, prePosition: true } } });
  expect(() => loadManifest(project)).toThrow(/`prePosition` must be an object, got true/);
});

test("with several bursts one must be named; a name that is none is told the ones there are", () => {
  write("cdktf.out/stacks/a/cdk.tf.json", synthesised({ shop: MANIFEST, web: { ...MANIFEST, name: "web" } }));
  write("cdktf.out/stacks/b/cdk.tf.json", synthesised({ shop: MANIFEST }));
  expect(() => loadManifest(project)).toThrow(
    /3 bursts to choose from: "shop" in stack "a", "web" in stack "a"/,
  );
  expect(() => loadManifest(project, { burst: "shop" })).toThrow(/2 bursts to choose from/);
  expect(loadManifest(project, { burst: "web" }).manifest.name).toBe("web");
  expect(loadManifest(project, { burst: "shop", stack: "b" }).directories.stack).toContain("stacks/b");
  expect(() => loadManifest(project, { burst: "shpo" })).toThrow(
    /no burst "shpo"; there is "shop" in stack "a"/,
  );
});

test("the variable files of other bursts in the same stack are known, so that no plan takes those home", () => {
  const web = { ...MANIFEST, name: "web", parametersFile: "desired/web.tfvars.json" };
  const shared = { ...MANIFEST, name: "shared" };
  write("cdktf.out/stacks/a/cdk.tf.json", synthesised({ shop: MANIFEST, web, shared }));
  write(
    "cdktf.out/stacks/b/cdk.tf.json",
    synthesised({ other: { ...web, parametersFile: "elsewhere.json" } }),
  );
  expect(loadManifest(project, { burst: "shop" }).directories.otherVariableFiles).toEqual([
    join(project, "desired/web.tfvars.json"),
  ]);
  expect(loadManifest(project, { burst: "other" }).directories.otherVariableFiles).toBeUndefined();
});

test("no burst at all, and files that are no JSON, are told with what to do", () => {
  expect(() => loadManifest(project)).toThrow(/no burst is declared here.*Synthesise the program first/);
  write("cdktf.out/stacks/a/cdk.tf.json", "{");
  expect(() => loadManifest(project)).toThrow(/cannot be read as JSON.*Synthesise again/s);
});

test("everything that is wrong in a manifest is told at once", () => {
  const { record: _, ...rest } = MANIFEST;
  write("spillway.json", {
    bursts: {
      shop: {
        ...rest,
        variable: 7,
        cloud: { ...MANIFEST.cloud, site: "moon" },
        policy: { ...MANIFEST.policy, homeBelow: "x" },
      },
    },
  });
  const attempt = () => loadManifest(project);
  expect(attempt).toThrow(/`variable` must be a string, got 7/);
  expect(attempt).toThrow(/`record` must be an object, got nothing/);
  expect(attempt).toThrow(/`policy\.homeBelow` must be a number, got "x"/);
  expect(attempt).toThrow(
    /`cloud\.site` is "moon", for which `sites` has no endpoint; known sites: "onprem", "cloud"/,
  );
});

test("a policy that makes no sense, a capacity of zero and a later version are refused", () => {
  const given = (more: object) => {
    write("spillway.json", { bursts: { shop: { ...MANIFEST, ...more } } });
    return () => loadManifest(project);
  };
  expect(given({ policy: { ...MANIFEST.policy, homeBelow: 0.9 } })).toThrow(
    /`policy\.homeBelow` must be below `burstAbove`/,
  );
  expect(given({ cloud: { ...MANIFEST.cloud, memberCapacityRps: 0 } })).toThrow(
    /`cloud\.memberCapacityRps` must be above 0, got 0/,
  );
  expect(given({ version: 2 })).toThrow(/version 2, and only 1/);
});
