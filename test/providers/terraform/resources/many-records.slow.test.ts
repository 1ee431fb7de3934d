import { PowerDnsNameServer } from "../../../../providers/powerdns";
import { startPdns, ZONE } from "../../dns/support/pdns";
import { describeWith } from "../../dns/support/tools";
import { NamedSites } from "./support/named-sites";

const RECORDS = 1_000;

describeWith(["pdns_server", "pdnsutil", "sqlite3"], "many records at a real PowerDNS, by Terraform", () => {
  test("1,000 are made by one apply, the next plan is empty, and it is told how long both took", async () => {
    const pdns = await startPdns();
    const named = new NamedSites();
    try {
      const server = new PowerDnsNameServer({
        api: pdns.api,
        apiKey: { file: pdns.keyFile },
        zones: [ZONE],
        endpoint: `127.0.0.1:${pdns.dns.port}`,
        agent: "onprem",
      });
      await named.add("onprem", server);
      const work = await named.folder("many");
      const answers = [
        { site: "onprem", address: "127.0.1.1", weight: 80 },
        { site: "cloud", address: "127.0.2.1", weight: 20 },
      ];
      const records = {
        all: { count: RECORDS, name: `r\${count.index}.${ZONE}`, name_server: "onprem", answers },
      };
      work.write("main.tf.json", named.config(records));
      const timed = async (act: () => Promise<unknown>) => {
        const started = performance.now();
        await act();
        return (performance.now() - started) / 1_000;
      };
      const planS = await timed(() => work.must("plan", "-no-color", "-input=false", "-out=plan"));
      const applyS = await timed(() => work.must("apply", "-no-color", "-input=false", "plan"));
      const emptyS = await timed(async () => expect((await work.planCode()).code).toBe(0));
      process.stdout.write(
        `${RECORDS} records: plan ${planS.toFixed(1)} s, apply ${applyS.toFixed(1)} s, empty plan ${emptyS.toFixed(1)} s\n`,
      );
      expect(await server.list()).toHaveLength(RECORDS);
    } finally {
      await pdns.daemon.end();
      await named.close();
    }
  }, 400_000);
});
