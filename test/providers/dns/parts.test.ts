import { PartsWatch } from "../../../lib/site/agent/parts";
import type { NameServer } from "../../../lib/site/ports";
import { PowerDnsNameServer } from "../../../providers/powerdns";
import { localPorts } from "../../../providers/local";
import { temporaryFolder } from "./support/daemon";
import { startPdns, ZONE, type Pdns } from "./support/pdns";
import { describeWith } from "./support/tools";

describeWith(["pdns_server", "pdnsutil", "sqlite3"], "the look at a site's parts", () => {
  let pdns: Pdns;
  let looks: number;
  let ended: number;
  let watch: PartsWatch;
  const asked = new AbortController().signal;

  beforeEach(async () => {
    [looks, ended] = [0, 0];
    pdns = await startPdns();
    const server = new PowerDnsNameServer({
      api: pdns.api,
      apiKey: { file: pdns.keyFile },
      zones: [ZONE],
      endpoint: `127.0.0.1:${pdns.dns.port}`,
      agent: "onprem",
      requestMs: 7_000,
    });
    const check = (signal: AbortSignal) => {
      looks += 1;
      return server.check(signal).finally(() => (ended += 1));
    };
    const nameServer: NameServer = Object.assign(Object.create(server) as PowerDnsNameServer, { check });
    const { launcher } = localPorts({ stateDir: temporaryFolder("parts") });
    watch = new PartsWatch({ launcher, balancer: {} as never, nameServer });
  });
  afterEach(() => pdns.daemon.end());

  test("is one for all who ask within seconds, and a new one when something became known", async () => {
    const [one, other] = await Promise.all([watch.now(asked, {}), watch.now(asked, {})]);
    expect(one.find(({ part }) => part === "nameServer")).toMatchObject({ kind: "powerdns", problems: [] });
    expect(await watch.now(asked, {})).toBe(other);
    expect(looks).toBe(1);
    const problem = { place: "there", problem: "it is away", mend: "Start it." };
    const later = await watch.now(asked, { nameServer: [problem] });
    expect(later.find(({ part }) => part === "nameServer")?.problems).toEqual([problem]);
    expect(looks).toBe(2);
  });

  test("ends when the last of them has gone, and is not told again", async () => {
    pdns.daemon.signal("SIGSTOP");
    const [first, last] = [new AbortController(), new AbortController()];
    const both = [watch.now(first.signal, {}), watch.now(last.signal, {})];
    const started = Date.now();
    first.abort();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(ended).toBe(0);
    last.abort();
    await Promise.all(both);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(ended).toBe(1);
    expect(Date.now() - started).toBeLessThan(2_000);
    pdns.daemon.signal("SIGCONT");
    const [, , named] = await watch.now(asked, {});
    expect(named.problems).toEqual([]);
  });
});
