import { writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { makeImage } from "../../../support/site";
import { BURST, burst, QUIET, sitesOf, variable } from "./support/burst";
import { startLab, story, Workspace, type Lab } from "./support/lab";

let lab: Lab;
let work: Workspace;
const servers: Server[] = [];

beforeAll(async () => {
  lab = await startLab();
  work = await Workspace.of(lab, "refusals");
}, 60_000);

afterAll(async () => {
  servers.forEach((server) => server.close());
  await lab?.close();
});

type Resources = Record<string, Record<string, object>>;

function config(resource: Resources, sites: object = sitesOf(lab), more: object = {}): object {
  return {
    terraform: { required_providers: { spillway: { source: "spillway/spillway" } } },
    provider: { spillway: { sites } },
    ...(Object.keys(resource).length > 0 ? { resource } : {}),
    ...more,
  };
}

/** What Terraform says, in one line: its frames and line breaks taken out. */
function plain(text: string): string {
  return text.replace(/[│╷╵]/g, " ").replace(/\s+/g, " ");
}

const DIGEST = `sha256:${"ab".repeat(32)}`;
const pool = (changes: object = {}) => ({
  ...{ site: "cloud", name: "shop", image_digest: DIGEST, members: 1 },
  listen: { address: "127.0.2.1", port: 8080 },
  ...changes,
});
const record = (answers: readonly object[], changes: object = {}) => ({
  ...{ name: "shop.example.test", name_server: "onprem", answers },
  ...changes,
});
const answer = (site: string, address: string, weight: number) => ({ site, address, weight });

describe("terraform validate", () => {
  const cases: [string, () => object, string[]][] = [
    [
      "zero members, a bad port, a bad address and a bad name, all at once",
      () =>
        config({
          spillway_pool: { p: pool({ members: 0, name: "Shop", listen: { address: "cloud", port: 0 } }) },
        }),
      [
        "`members` must be at least 1, got 0",
        '`name` must be a pool\'s name, got "Shop"',
        '`listen.address` must be an IP address, got "cloud"',
        "`listen.port` must be 1 to 65535, got 0",
      ],
    ],
    [
      "weights that do not add up",
      () =>
        config({
          spillway_global_record: {
            r: record([answer("onprem", "10.0.0.1", 60), answer("cloud", "10.0.1.1", 30)]),
          },
        }),
      ["`answers` must have weights that add up to 100, got 90 (onprem 60 + cloud 30)"],
    ],
    [
      "a CNAME beside an A in one set",
      () =>
        config({
          spillway_global_record: {
            r: record([answer("onprem", "10.0.0.1", 60), answer("cloud", "lb.example.org", 40)]),
          },
        }),
      [
        '`answers[1].address` must be of one type with the others, got a CNAME record "lb.example.org" beside an A record "10.0.0.1"',
      ],
    ],
    [
      "an A beside an AAAA in one set",
      () =>
        config({
          spillway_global_record: {
            r: record([answer("onprem", "10.0.0.1", 60), answer("cloud", "2001:db8::1", 40)]),
          },
        }),
      [
        '`answers[1].address` must be of one type with the others, got an AAAA record "2001:db8::1" beside an A record "10.0.0.1"',
      ],
    ],
    [
      "weight 0, an address with a port and a site twice, all at once",
      () =>
        config({
          spillway_global_record: {
            r: record([answer("onprem", "10.0.0.1:80", 100), answer("onprem", "10.0.0.2", 0)]),
          },
        }),
      [
        '`answers[0].address` must be an IPv4 address, an IPv6 address or a host name, got "10.0.0.1:80"',
        "`answers[1].weight` must be 1 to 100, got 0",
        "To take a site out of service, leave its answer out",
        '`answers[1].site` must be unique, got "onprem" again (first in answers[0])',
      ],
    ],
    [
      "no answer at all",
      () => config({ spillway_global_record: { r: record([]) } }),
      ["`answers` must have at least one answer, got none"],
    ],
    [
      "a name that is not fully qualified, and a bad ramp",
      () =>
        config({
          spillway_global_record: {
            r: record([answer("onprem", "10.0.0.1", 100)], {
              name: "shop",
              ramp: { steps: [50, 10], interval: "soon" },
            }),
          },
        }),
      [
        '`name` must be a fully qualified domain name, got "shop"',
        "`ramp.steps` must rise from step to step, got [50,10]",
        '`ramp.interval` must be a duration, got "soon"',
      ],
    ],
    [
      "durations, digests and monitors that are none",
      () =>
        config({
          spillway_pool: {
            p: pool({
              image_digest: "sha256:xyz",
              session_idle: "30",
              monitor: { path: "health", interval: "0s" },
            }),
          },
        }),
      [
        '`image_digest` must be an image digest, got "sha256:xyz"',
        '`session_idle` must be a duration, got "30"',
        '`monitor.path` must begin with a slash and have no blanks, got "health"',
        '`monitor.interval` must be longer than 0, got "0s"',
      ],
    ],
    [
      "a cookie in a pool that speaks no HTTP",
      () =>
        config({ spillway_pool: { p: pool({ listen: { address: "127.0.2.1", port: 80, mode: "tcp" } }) } }),
      ['`affinity` must be "none" for a pool in mode tcp'],
    ],
    [
      "hosts of a pool that speaks no HTTP, or that are no host names",
      () => {
        const tcp = { listen: { address: "127.0.2.1", port: 80, mode: "tcp" }, affinity: "none" };
        return config({
          spillway_pool: {
            p: pool({ ...tcp, hosts: ["shop.example.test"] }),
            q: pool({ hosts: ["Shop.example.test", "shop.example.test:80"] }),
          },
        });
      },
      [
        "`hosts` must be left out for a pool in mode tcp",
        'must be a lower-case host name such as shop.example.org, without a port, got "Shop.example.test"',
        'got "shop.example.test:80"',
      ],
    ],
    [
      "a gate that is not before a pool",
      () => config({ spillway_gate: { g: { pool: "shop", on_deadline: "wait", min_members: 0 } } }),
      [
        '`pool` must be a pool\'s id, got "shop"',
        '`on_deadline` must be "hold" or "force", got "wait"',
        "`min_members` must be at least 1, got 0",
      ],
    ],
    [
      "an endpoint that would carry the token in the clear, and one that is none",
      () =>
        config(
          { spillway_pool: { p: pool() } },
          { cloud: { endpoint: "http://192.0.2.1:7501" }, other: { endpoint: "192.0.2.1" } },
        ),
      [
        'The endpoint "http://192.0.2.1:7501" would carry the token unencrypted over a network',
        'The endpoint "192.0.2.1" is not an http:// or https:// address',
      ],
    ],
    [
      "a token from two places",
      () =>
        config(
          { spillway_pool: { p: pool() } },
          { cloud: { endpoint: "http://127.0.0.1:1", token_file: "a", token_env: "B" } },
        ),
      ['Site "cloud" has both `token_file` and `token_env`'],
    ],
    [
      "figures that split nothing",
      () => config({}, {}, { output: { x: { value: "${provider::spillway::split({a=1},{a=0},{})}" } } }),
      ["leaves no site with a share: capacity, health or performance is 0 for every one"],
    ],
    [
      "figures of a site that has no capacity",
      () => config({}, {}, { output: { x: { value: "${provider::spillway::split({a=1},{b=0},{})}" } } }),
      ['names the site "b", which has no capacity'],
    ],
    [
      "a negative figure",
      () => config({}, {}, { output: { x: { value: "${provider::spillway::split({a=-1},{},{})}" } } }),
      ['must be 0 or more for each site, but is -1 for "a"'],
    ],
  ];

  test.each(cases)("refuses %s", async (_, made, expected) => {
    work.write("main.tf.json", made());
    const { code, text } = await work.run("validate", "-no-color");
    expect(code).toBe(1);
    for (const line of expected) expect(plain(text)).toContain(line);
  });

  test("says nothing about what is not known yet", async () => {
    const unknown = "${terraform_data.later.output}";
    work.write(
      "main.tf.json",
      config(
        {
          terraform_data: { later: { input: "x" } },
          spillway_global_record: {
            r: record([
              { site: "a", address: unknown, weight: 60 },
              { site: unknown, address: "10.0.0.1", weight: unknown },
            ]),
          },
          spillway_pool: {
            p: pool({
              name: unknown,
              members: unknown,
              image_digest: unknown,
              listen: { address: unknown, port: 80 },
            }),
          },
          spillway_gate: { g: { pool: unknown } },
          spillway_image_replica: { i: { site: unknown, source: unknown } },
        },
        { cloud: { endpoint: unknown }, onprem: { endpoint: "http://127.0.0.1:1", token_env: "NONE" } },
      ),
    );
    expect((await work.run("validate", "-no-color")).text).toContain("The configuration is valid");
    const { code, text } = await work.planCode();
    expect({ code, text: plain(text) }).toMatchObject({
      code: 2,
      text: expect.stringContaining("Plan: 5 to add"),
    });
  });

  test("works without any site", async () => {
    work.write(
      "main.tf.json",
      config({}, {}, { output: { x: { value: "${provider::spillway::split({a=1,b=3},{},{})}" } } }),
    );
    expect(await work.must("plan", "-no-color")).toMatch(/a = 25\s+\+ b = 75/);
  });
});

describe("terraform plan", () => {
  async function refused(made: object): Promise<string> {
    work.write("main.tf.json", made);
    const before = await story(lab);
    const { code, text } = await work.planCode();
    expect(code).toBe(1);
    expect(await story(lab)).toEqual(before);
    return plain(text);
  }

  test("names the known sites when one is unknown", async () => {
    const text = await refused(
      config({
        spillway_pool: { p: pool({ site: "clout" }) },
        spillway_global_record: {
          r: record([answer("onprem", "10.0.0.1", 100)], { name_server: "on-prem" }),
        },
        spillway_gate: { g: { pool: "clod/shop" } },
        spillway_image_replica: { i: { site: "klaud", source: lab.image.path } },
      }),
    );
    for (const name of ["clout", "on-prem", "clod", "klaud"]) {
      expect(text).toContain(`No site "${name}" is configured; known sites: "cloud", "onprem"`);
    }
  });

  test("says that an image is missing, and that an image file is", async () => {
    const text = await refused(
      config({
        spillway_pool: { p: pool() },
        spillway_image_replica: { i: { site: "cloud", source: join(lab.root, "none.img") } },
      }),
    );
    expect(text).toContain(`Site "cloud" holds nothing of image ${DIGEST}`);
    expect(text).toContain("Declare a replica of it at that site");
    expect(text).toMatch(/There is no image file ".*none\.img"/);
  });

  test("says that the image is another than the one that was asked for", async () => {
    const text = await refused(
      config({ spillway_image_replica: { i: { site: "cloud", source: lab.image.path, digest: DIGEST } } }),
    );
    expect(text).toContain(DIGEST);
    expect(text).toContain(lab.image.digest);
  });

  test("says that an agent is down, and what to start", async () => {
    const sites = { cloud: { endpoint: "http://127.0.0.1:9", token_file: lab.cloud.tokenFile } };
    const text = await refused(
      config({ spillway_image_replica: { i: { site: "cloud", source: lab.image.path } } }, sites),
    );
    expect(text).toMatch(
      /The agent of site "cloud" cannot be reached at http:\/\/127\.0\.0\.1:9: nothing listens there( \(tried for 1 s\))?/,
    );
    expect(text).toMatch(/`spillway agent`.*`spillway doctor`/);
  }, 40_000);

  test("says that a token is wrong, and where it came from", async () => {
    const wrong = join(lab.root, "wrong-token");
    writeFileSync(wrong, "not-the-token-at-all\n");
    const sites = { cloud: { endpoint: lab.cloud.endpoint, token_file: wrong } };
    const text = await refused(config({ spillway_pool: { p: pool() } }, sites));
    expect(text).toContain(`The agent of site "cloud" refused the token from file ${wrong}`);
    expect(text).not.toContain("not-the-token-at-all");
  });

  test("says that there is no token", async () => {
    const sites = { cloud: { endpoint: lab.cloud.endpoint, token_env: "NO_SUCH_TOKEN" } };
    expect(await refused(config({ spillway_pool: { p: pool() } }, sites))).toContain(
      'There is no token for site "cloud": NO_SUCH_TOKEN is not set',
    );
  });

  test("says that an agent is slow", async () => {
    const server = createServer(() => undefined);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const sites = { cloud: { endpoint: `http://127.0.0.1:${port}`, token_file: lab.cloud.tokenFile } };
    expect(await refused(config({ spillway_pool: { p: pool() } }, sites))).toMatch(
      /The agent of site "cloud" took GET \/v1\/images\/sha256:\w+ but did not answer it within 2000 ms/,
    );
    server.closeAllConnections();
  }, 40_000);

  test("a site that cannot be reached is no error of the context, and is said", async () => {
    const sites = { ...sitesOf(lab), gone: { endpoint: "http://127.0.0.1:9", token_env: "PATH" } };
    const data = { spillway_context: { now: {} } };
    work.write(
      "main.tf.json",
      config({}, sites, { data, output: { now: { value: "${data.spillway_context.now.sites_now}" } } }),
    );
    await work.apply();
    const shown = JSON.parse(await work.must("output", "-json", "now")) as Record<
      string,
      Record<string, unknown>
    >;
    expect(Object.keys(shown)).toEqual(["cloud", "gone", "onprem"]);
    expect(shown["gone"]).toMatchObject({ reachable: false, members: 0 });
    expect(shown["cloud"]).toMatchObject({ reachable: true, sessions: 0, link_mbps: 100 });
  }, 30_000);
});

describe("terraform apply", () => {
  test("two pools at one place: the second is refused and leaves nothing", async () => {
    const folder = await Workspace.of(lab, "port-taken");
    const digest = "${spillway_image_replica.i.digest}";
    folder.write(
      "main.tf.json",
      config({
        spillway_image_replica: { i: { site: "cloud", source: lab.image.path } },
        spillway_pool: {
          one: pool({ name: "one", image_digest: digest, listen: { address: "127.0.2.1", port: lab.port } }),
          two: pool({
            name: "two",
            image_digest: digest,
            listen: { address: "127.0.2.1", port: lab.port },
            depends_on: ["spillway_pool.one"],
          }),
        },
      }),
    );
    const { code, text } = await folder.run("apply", "-auto-approve", "-no-color");
    expect(code).toBe(1);
    expect(plain(text)).toContain(`The pool "one" listens at 127.0.2.1:${lab.port} already`);
    expect(await lab.cloud.client.pool("two")).toBeUndefined();
    expect(await folder.state()).toEqual(["spillway_image_replica.i", "spillway_pool.one"]);
    await folder.must("destroy", "-auto-approve", "-no-color");
  }, 60_000);

  test("a pool and a record of another stack are not taken over", async () => {
    const folder = await Workspace.of(lab, "owners");
    folder.write("main.tf.json", burst(lab));
    await folder.apply(QUIET);
    const other = await Workspace.of(lab, "others");
    const spillway_pool = {
      p: pool({
        ...{ site: "onprem", owner: "another", image_digest: lab.image.digest },
        listen: { address: "127.0.1.1", port: 1 },
      }),
    };
    const r = record([answer("onprem", "127.0.1.1", 100)], { owner: "another" });
    other.write("main.tf.json", config({ spillway_pool, spillway_global_record: { r } }));
    const planned = await other.planCode();
    expect(planned.code).toBe(1);
    expect(plain(planned.text)).toMatch(
      /ecord "shop\.example\.test" belongs to "terraform", not to "another"/,
    );
    other.write("main.tf.json", config({ spillway_pool }));
    const { code, text } = await other.run("apply", "-auto-approve", "-no-color");
    expect(code).toBe(1);
    expect(plain(text)).toContain('The pool "shop" belongs to "terraform", not to "another"');
    expect(await other.state()).toEqual([]);
    expect((await folder.planCode(QUIET)).code).toBe(0);
    await folder.must("destroy", "-auto-approve", "-no-color", QUIET);
  }, 60_000);

  test("a monitor that never turns healthy fails the gate: users stay, and the pool is marked for a new try", async () => {
    const folder = await Workspace.of(lab, "unhealthy");
    folder.write(
      "main.tf.json",
      burst(lab, {
        gate: { monitor: { interval: "100ms", expect_status: 418 }, timeouts: { create: "2s" } },
      }),
    );
    await folder.apply(QUIET);
    const { code, text } = await folder.run("apply", "-auto-approve", "-no-color", BURST);
    expect(code).toBe(1);
    expect(plain(text)).toContain(
      "for 2 good answers in a row from cloud/shop; last seen: from outside: status 200 instead of 418 for /",
    );
    expect(plain(text)).toContain("Users stay where they were");
    expect((await lab.home.client.record("shop.example.test"))?.spec.answers).toHaveLength(1);
    expect(await folder.state()).not.toContain("spillway_gate.cloud[0]");
    const failed = await lab.cloud.client.pool("shop");
    expect(failed?.phase).toBe("failed");
    expect(plain((await folder.planCode(BURST)).text)).toMatch(/status = "failed" -> "ready"/);

    folder.write("main.tf.json", burst(lab));
    await folder.apply(BURST);
    const mended = await lab.cloud.client.pool("shop");
    expect(mended?.members.map(({ id }) => id)).not.toEqual(failed?.members.map(({ id }) => id));
    expect((await lab.home.client.record("shop.example.test"))?.spec.answers).toHaveLength(2);
    await folder.must("destroy", "-auto-approve", "-no-color", BURST);
  }, 90_000);

  test("without create_before_destroy the gate refuses to close, and says why: nobody is cut off", async () => {
    const folder = await Workspace.of(lab, "wrong-order");
    folder.write("main.tf.json", burst(lab, { createBeforeDestroy: false }));
    await folder.apply(QUIET);
    await folder.apply(BURST);
    const { code, text } = await folder.run("apply", "-auto-approve", "-no-color", QUIET);
    expect(code).toBe(1);
    expect(plain(text)).toContain(
      'Users are still directed to cloud/shop: the record "shop.example.test" answers with it',
    );
    expect(plain(text)).toContain("create_before_destroy = true");
    expect(await lab.cloud.client.pool("shop")).toMatchObject({ phase: "ready", quiesce: { share: 0 } });
    expect((await lab.home.client.record("shop.example.test"))?.spec.answers).toHaveLength(2);
    await folder.apply(
      variable({ burst: true, weights: { onprem: 100 }, reason: "out of the record first" }),
    );
    await folder.apply(QUIET);
    expect(await lab.cloud.client.pool("shop")).toBeUndefined();
    await folder.must("destroy", "-auto-approve", "-no-color", QUIET);
  }, 90_000);

  test("an image whose members die at once fails the gate early, with their last words", async () => {
    const folder = await Workspace.of(lab, "crashing");
    const image = await makeImage({
      dir: join(lab.root, "crashing-images"),
      version: "broken",
      behaviour: { crashAfterMs: 30 },
    });
    folder.write(
      "main.tf.json",
      config({
        spillway_image_replica: { i: { site: "cloud", source: image.path } },
        spillway_pool: {
          p: pool({
            image_digest: "${spillway_image_replica.i.digest}",
            listen: { address: "127.0.2.1", port: lab.port },
          }),
        },
        spillway_gate: { g: { pool: "${spillway_pool.p.id}", monitor: { interval: "100ms" } } },
      }),
    );
    const { code, text } = await folder.run("apply", "-auto-approve", "-no-color");
    expect(code).toBe(1);
    expect(plain(text)).toContain("crashing as asked after 30 ms");
    await folder.must("destroy", "-auto-approve", "-no-color");
    expect(await lab.cloud.client.pool("shop")).toBeUndefined();
  }, 60_000);
});
