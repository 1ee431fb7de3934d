import { writeFileSync } from "node:fs";
import { ask } from "../../../../providers/dns";
import { PowerDnsNameServer, type PowerDnsOptions } from "../../../../providers/powerdns";
import { Rfc2136NameServer } from "../../../../providers/rfc2136";
import { API_KEY, createZone, startPdns, ZONE, type Pdns } from "../../dns/support/pdns";
import { describeWith } from "../../dns/support/tools";
import { KEY, startNamed, type UpdateServer } from "../../dns/support/update-servers";
import type { Workspace } from "./support/lab";
import { NamedSites, plain } from "./support/named-sites";

const answer = (site: string, address: string, weight: number) => ({ site, address, weight });
const record = (name: string, answers: readonly object[], more: object = {}) => ({
  ...{ name, name_server: "onprem", ttl: 30, answers },
  ...more,
});
const HOME = [answer("onprem", "127.0.1.1", 100)];
const SHARED = [answer("onprem", "127.0.1.1", 70), answer("cloud", "127.0.2.1", 30)];

async function planOf(work: Workspace): Promise<{ code: number | null; text: string }> {
  const { code, text } = await work.planCode();
  return { code, text: plain(text) };
}

describeWith(["pdns_server", "pdnsutil", "sqlite3"], "records at a real PowerDNS, by Terraform", () => {
  const named = new NamedSites();
  const shop = `shop.${ZONE}`;
  let pdns: Pdns;
  let work: Workspace;

  const serverOf = (agent: string, extra: Partial<PowerDnsOptions> = {}) =>
    new PowerDnsNameServer({
      api: pdns.api,
      apiKey: { file: pdns.keyFile },
      zones: [ZONE],
      endpoint: `127.0.0.1:${pdns.dns.port}`,
      ...{ agent, requestMs: 1_000 },
      ...extra,
    });
  const addresses = async () =>
    (await ask(pdns.dns, { name: shop, type: "A" })).answers?.map((found) => "data" in found && found.data);

  beforeAll(async () => {
    pdns = await startPdns();
    await named.add("onprem", serverOf("onprem", { shift: { ttlSeconds: 5 } }));
    await named.add("other", serverOf("other"));
    work = await named.folder("shop");
  }, 30_000);
  // The daemon first: nothing that fails here may leave it running.
  afterAll(async () => {
    await pdns?.daemon.end();
    await named.close();
  });

  test("are made, changed and removed, and each second plan is empty", async () => {
    work.write("main.tf.json", named.config({ shop: record(shop, HOME) }));
    await work.apply();
    expect(await addresses()).toEqual(["127.0.1.1"]);
    expect((await planOf(work)).code).toBe(0);
    work.write("main.tf.json", named.config({ shop: record(shop, SHARED) }));
    await work.apply();
    // Its TTL is lowered now, and the plan does not see it.
    const { answers } = await ask(pdns.dns, { name: shop, type: "A" });
    expect(answers).toMatchObject([{ ttl: 5 }]);
    expect((await planOf(work)).code).toBe(0);
    await work.must("destroy", "-auto-approve", "-no-color");
    expect(await addresses()).toEqual([]);
  }, 60_000);

  test("that another stack has are refused by the plan, at the same agent and at another", async () => {
    work.write("main.tf.json", named.config({ shop: record(shop, HOME) }));
    await work.apply();
    const second = await named.folder("second");
    second.write(
      "main.tf.json",
      named.config({
        same: record(shop, SHARED, { owner: "another" }),
        other: record(shop, SHARED, { name_server: "other" }),
        outside: record("shop.elsewhere.test", HOME),
      }),
    );
    const { code, text } = await planOf(second);
    expect(code).toBe(1);
    expect(text).toContain(`The record "${shop}" belongs to "terraform", not to "another"`);
    expect(text).toContain(`The record "${shop}" belongs to "terraform" of installation "onprem"`);
    expect(text).toContain(`"shop.elsewhere.test" is in none of the zones that may be written: ${ZONE}`);
    expect(text).toMatch(/name = "shop\.example\.test"|"name": "shop\.example\.test"/);

    second.write("main.tf.json", named.config({ same: record(shop, SHARED) }));
    const taken = await planOf(second);
    expect(taken.code).toBe(2);
    expect(taken.text).toContain(`Warning: The record ${shop} is there already, and "terraform" declared it`);
    expect(await addresses()).toEqual(["127.0.1.1"]);
  }, 60_000);

  test("are refused by the plan while the key is wrong or the zone gone; what stays as it is can be planned and destroyed", async () => {
    work.write("main.tf.json", named.config({ shop: record(shop, HOME) }));
    await work.apply();
    const changed = named.config({ shop: record(shop, SHARED) });
    writeFileSync(pdns.keyFile, "another");
    try {
      work.write("main.tf.json", changed);
      const { code, text } = await planOf(work);
      expect({ code, text }).toEqual({
        code: 1,
        text: expect.stringMatching(/it refuses the API key \(401\)/i),
      });
    } finally {
      writeFileSync(pdns.keyFile, API_KEY);
    }
    expect((await pdns.request("DELETE", `/zones/${ZONE}.`)).status).toBe(204);
    // What was found a moment ago is not asked again for each record of a plan.
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const fresh = await named.folder("fresh");
    fresh.write("main.tf.json", named.config({ new: record(`new.${ZONE}`, HOME) }));
    expect(await planOf(fresh)).toEqual({
      code: 1,
      text: expect.stringMatching(/has no zone "example\.test"/i),
    });
    await createZone(pdns, ZONE);
    work.write("main.tf.json", named.config({}));
    await work.apply();
    expect(await addresses()).toEqual([]);
  }, 60_000);

  test("are planned while the agent is silent, with a warning, and refused while PowerDNS is", async () => {
    const fresh = await named.folder("silent");
    const away = { endpoint: "http://127.0.0.1:9", token_env: "PATH" };
    const config = named.config({ new: record(`new.${ZONE}`, HOME, { name_server: "away" }) }) as {
      provider: { spillway: { sites: object } };
    };
    config.provider.spillway.sites = { ...config.provider.spillway.sites, away };
    fresh.write("main.tf.json", config);
    expect(await planOf(fresh)).toEqual({
      code: 2,
      text: expect.stringContaining(
        `Site "away" cannot be asked whether its name server takes the record new.${ZONE}`,
      ),
    });
    await pdns.daemon.kill();
    fresh.write("main.tf.json", named.config({ new: record(`new.${ZONE}`, HOME) }));
    expect(await planOf(fresh)).toEqual({
      code: 1,
      text: expect.stringMatching(/name server cannot be used: its HTTP API does not answer/),
    });
  }, 60_000);
});

describeWith(["named"], "records at a real BIND, by Terraform", () => {
  const named = new NamedSites();
  const shop = `shop.${ZONE}`;
  let bind: UpdateServer;
  let work: Workspace;

  beforeAll(async () => {
    bind = await startNamed();
    const key = { name: KEY.name, secret: { file: bind.secretFile } };
    const server = `127.0.0.1:${bind.dns.port}`;
    const addresses = { onprem: ["127.0.1.2"] };
    await named.add(
      "onprem",
      new Rfc2136NameServer({ server, zones: [ZONE], key, agent: "onprem", addresses }),
    );
    work = await named.folder("shop");
  }, 30_000);
  afterAll(async () => {
    await bind?.daemon.end();
    await named.close();
  });

  test("are made, changed and removed; the plan tells what becomes of weights", async () => {
    work.write("main.tf.json", named.config({ shop: record(shop, HOME) }));
    await work.apply();
    work.write("main.tf.json", named.config({ shop: record(shop, SHARED) }));
    const { code, text } = await planOf(work);
    expect({ code, text }).toEqual({
      code: 2,
      text: expect.stringContaining(
        `Warning: ${shop}: onprem 70 %, cloud 30 % declared; by the number of addresses it becomes onprem 67 %, cloud 33 %`,
      ),
    });
    await work.apply();
    const { answers } = await ask(bind.dns, { name: shop, type: "A" });
    expect(answers?.map((found) => "data" in found && found.data).sort()).toEqual([
      ...["127.0.1.1", "127.0.1.2", "127.0.2.1"],
    ]);
    const second = await planOf(work);
    expect({ code: second.code, warned: second.text.includes("Warning") }).toEqual({
      code: 0,
      warned: false,
    });
    await work.must("destroy", "-auto-approve", "-no-color");
    expect((await ask(bind.dns, { name: shop, type: "A" })).answers).toEqual([]);
  }, 60_000);

  test("are refused by the plan: weights that cannot be, a name that is taken, a wrong secret", async () => {
    const uneven = [answer("onprem", "127.0.1.1", 90), answer("cloud", "127.0.2.1", 10)];
    work.write(
      "main.tf.json",
      named.config({ uneven: record(shop, uneven), old: record(`old.${ZONE}`, HOME) }),
    );
    const { code, text } = await planOf(work);
    expect(code).toBe(1);
    expect(text).toContain("A server without weights cannot give onprem 90 %, cloud 10 %");
    expect(text).toContain(`"old.${ZONE}" has records that Spillway did not write`);
    writeFileSync(bind.secretFile, Buffer.from("another").toString("base64"));
    try {
      work.write("main.tf.json", named.config({ shop: record(shop, HOME) }));
      expect(await planOf(work)).toEqual({ code: 1, text: expect.stringContaining("(BADSIG)") });
    } finally {
      writeFileSync(bind.secretFile, KEY.secret);
    }
  }, 60_000);
});
