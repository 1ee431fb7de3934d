import type { RecordSpec } from "../../../lib/site/api";
import { ask } from "../../../providers/dns";
import { checkPowerDns, PowerDnsNameServer, type PowerDnsOptions } from "../../../providers/powerdns";
import { freePort } from "../dns/support/daemon";
import { startPdns, ZONE, type Pdns } from "../dns/support/pdns";
import { describeWith } from "../dns/support/tools";

const spec = (weights: Record<string, number>, ttlSeconds = 30): RecordSpec => ({
  owner: "test",
  ttlSeconds,
  answers: Object.entries(weights).map(([address, weight]) => ({ site: `site-${address}`, address, weight })),
});

const optionsOf = (pdns: Pdns, extra: Partial<PowerDnsOptions> = {}): PowerDnsOptions => ({
  api: pdns.api,
  apiKey: { file: pdns.keyFile },
  zones: [ZONE],
  endpoint: `127.0.0.1:${pdns.dns.port}`,
  agent: "onprem",
  ...extra,
});

const addressesOf = async (pdns: Pdns, name: string) =>
  ((await ask(pdns.dns, { name, type: "A" })).answers ?? []).map((answer) => "data" in answer && answer.data);

describeWith(["pdns_server", "pdnsutil", "sqlite3"], "a PowerDNS in trouble", () => {
  const name = `shop.${ZONE}`;
  let pdns: Pdns;
  afterEach(() => pdns.daemon.end());

  test("killed during a shift: the put fails, the old answer is given again after its start, and the put goes on", async () => {
    pdns = await startPdns();
    const server = new PowerDnsNameServer(optionsOf(pdns));
    const before = await server.put(name, spec({ "127.0.1.1": 100 }));
    await pdns.daemon.kill();
    const after = spec({ "127.0.2.1": 100 });
    await expect(server.put(name, after)).rejects.toThrow(
      /API does not answer: ECONNREFUSED.*Start pdns_server/,
    );
    await expect(server.list()).rejects.toThrow(/does not answer/);
    await pdns.daemon.start();
    expect(await addressesOf(pdns, name)).toEqual(["127.0.1.1"]);
    expect(await server.list()).toEqual([before]);
    expect((await server.put(name, after)).spec).toEqual(after);
    expect(await addressesOf(pdns, name)).toEqual(["127.0.2.1"]);
  });

  test("that hangs is given up in time; what it did in the end is seen by the next put", async () => {
    pdns = await startPdns();
    const server = new PowerDnsNameServer(optionsOf(pdns, { requestMs: 400 }));
    await server.put(name, spec({ "127.0.1.1": 100 }));
    pdns.daemon.signal("SIGSTOP");
    const started = Date.now();
    await expect(server.put(name, spec({ "127.0.2.1": 100 }))).rejects.toThrow(/does not answer/);
    expect(Date.now() - started).toBeLessThan(2_000);
    pdns.daemon.signal("SIGCONT");
    await server.put(name, spec({ "127.0.2.1": 100 }));
    expect(await addressesOf(pdns, name)).toEqual(["127.0.2.1"]);
  });

  test("without Lua: the check says so, and a put leaves nothing behind", async () => {
    pdns = await startPdns({ config: { "enable-lua-records": "no" } });
    const { problems } = await checkPowerDns(optionsOf(pdns));
    expect(problems.map(({ problem }) => problem)).toEqual([expect.stringMatching(/enable-lua-records=no/)]);
    const server = new PowerDnsNameServer(optionsOf(pdns));
    await expect(server.start()).rejects.toThrow(/enable-lua-records=shared/);
    await expect(server.put(name, spec({ "127.0.1.1": 100 }))).rejects.toThrow(
      /it was written, but .* answers nothing/,
    );
    const { body } = await pdns.request("GET", `/zones/${ZONE}.`);
    expect(JSON.stringify(body)).not.toMatch(/shop|_spillway/);
  });

  test("with Lua in the zone's own metadata it works, once that is said", async () => {
    pdns = await startPdns({ config: { "enable-lua-records": "no" } });
    pdns.util("set-meta", ZONE, "ENABLE-LUA-RECORDS", "1");
    // It keeps a zone's metadata for a minute.
    await pdns.daemon.kill();
    await pdns.daemon.start();
    const options = optionsOf(pdns, { luaByZone: true });
    expect((await checkPowerDns(options)).problems).toEqual([]);
    await new PowerDnsNameServer(options).put(name, spec({ "127.0.1.1": 100 }));
    expect(await addressesOf(pdns, name)).toEqual(["127.0.1.1"]);
  });

  test("with enable-lua-records=yes it works, with a warning about its speed", async () => {
    pdns = await startPdns({ config: { "enable-lua-records": "yes" } });
    const { problems, warnings } = await checkPowerDns(optionsOf(pdns));
    expect(problems).toEqual([]);
    expect(warnings.map(({ mend }) => mend)).toEqual([expect.stringMatching(/enable-lua-records=shared/)]);
  });

  test("that lost the zone's records: the list shows it, and the same put makes them anew", async () => {
    pdns = await startPdns();
    const server = new PowerDnsNameServer(optionsOf(pdns));
    const wanted = spec({ "127.0.1.1": 100 });
    await server.put(name, wanted);
    expect(await server.list()).toHaveLength(1);
    expect((await pdns.request("DELETE", `/zones/${ZONE}.`)).status).toBe(204);
    await expect(server.list()).rejects.toThrow(/no zone/);
    await pdns.request("POST", "/zones", {
      name: `${ZONE}.`,
      kind: "Native",
      soa_edit_api: "INCREASE",
      nameservers: [],
    });
    expect(await server.list()).toEqual([]);
    await server.put(name, wanted);
    expect(await addressesOf(pdns, name)).toEqual(["127.0.1.1"]);
  });
});

describeWith(["pdns_server", "pdnsutil"], "a PowerDNS on LMDB", () => {
  test("does the same", async () => {
    const pdns = await startPdns({ backend: "lmdb" });
    try {
      const server = new PowerDnsNameServer(optionsOf(pdns));
      await server.start();
      const name = `shop.${ZONE}`;
      const first = await server.put(name, spec({ "127.0.1.1": 100 }));
      const second = await server.put(name, spec({ "127.0.2.1": 100 }));
      expect(second.serial).toBeGreaterThan(first.serial);
      expect(await addressesOf(pdns, name)).toEqual(["127.0.2.1"]);
      expect(await server.get(name)).toEqual(second);
      expect(await server.list()).toEqual([second]);
      await server.remove(name);
      expect(await server.list()).toEqual([]);
    } finally {
      await pdns.daemon.end();
    }
  });
});

describeWith(["pdns_server", "pdnsutil", "sqlite3"], "a secondary PowerDNS", () => {
  const name = `shop.${ZONE}`;
  let primary: Pdns;
  let secondary: Pdns;
  beforeAll(async () => {
    const port = await freePort();
    const config = { primary: "yes", "also-notify": `127.0.0.1:${port}`, "allow-axfr-ips": "127.0.0.0/8" };
    primary = await startPdns({ kind: "Primary", config });
    secondary = await startPdns({
      zone: false,
      port,
      config: { secondary: "yes", "allow-notify-from": "127.0.0.0/8" },
    });
    const zone = { name: `${ZONE}.`, kind: "Slave", masters: [`127.0.0.1:${primary.dns.port}`] };
    expect((await secondary.request("POST", "/zones", zone)).status).toBe(201);
  });
  afterAll(async () => {
    await secondary.daemon.end();
    await primary.daemon.end();
  });

  test("answers by weight as well, as soon as the put is done", async () => {
    const options = optionsOf(primary, {
      secondaries: [`127.0.0.1:${secondary.dns.port}`],
      secondariesMs: 8_000,
    });
    expect((await checkPowerDns(options)).problems).toEqual([]);
    const server = new PowerDnsNameServer(options);
    // Long enough to be cut into several strings.
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`127.0.1.${at + 1}`, 5]));
    await server.put(name, spec(many));
    const seen = new Set<unknown>();
    for (let index = 0; index < 60; index += 1)
      for (const one of await addressesOf(secondary, name)) seen.add(one);
    expect(seen.size).toBeGreaterThan(5);
    for (const address of ["127.0.2.1", "127.0.3.1", "127.0.2.1"]) {
      await server.put(name, spec({ [address]: 100 }));
      expect(await addressesOf(secondary, name)).toEqual([address]);
    }
  }, 20_000);

  test("that is written to by mistake is refused by the check", async () => {
    const { problems } = await checkPowerDns(optionsOf(secondary));
    expect(problems.map(({ problem }) => problem)).toContainEqual(
      expect.stringMatching(/is a secondary there/),
    );
  });
});
