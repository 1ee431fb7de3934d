import type { RecordSpec } from "../../../lib/site/api";
import type { NameServer } from "../../../lib/site/ports";
import { ask, type HostPort } from "../../../providers/dns";
import { PowerDnsNameServer } from "../../../providers/powerdns";
import { Rfc2136NameServer } from "../../../providers/rfc2136";
import { startPdns, ZONE } from "./support/pdns";
import { describeWith } from "./support/tools";
import { KEY, startKnot, startNamed, startPdnsForUpdates } from "./support/update-servers";

const FLIPS = 300;
const RECORDS = 1_000;

const spec = (address: string): RecordSpec => ({
  owner: "test",
  ttlSeconds: 30,
  answers: [{ site: "onprem", address, weight: 100 }],
});

interface Made {
  readonly server: NameServer;
  readonly dns: HostPort;
  readonly end: () => Promise<void>;
}

const overUpdates = (start: typeof startNamed) => async (): Promise<Made> => {
  const { daemon, dns, secretFile } = await start();
  const server = new Rfc2136NameServer({
    server: `127.0.0.1:${dns.port}`,
    zones: [ZONE],
    key: { name: KEY.name, secret: { file: secretFile } },
    agent: "onprem",
  });
  return { server, dns, end: () => daemon.end() };
};

const SERVERS: readonly (readonly [string, readonly string[], () => Promise<Made>])[] = [
  [
    "PowerDNS by its API",
    ["pdns_server", "pdnsutil", "sqlite3"],
    async () => {
      const { daemon, dns, api, keyFile } = await startPdns();
      const server = new PowerDnsNameServer({
        api,
        apiKey: { file: keyFile },
        zones: [ZONE],
        endpoint: `127.0.0.1:${dns.port}`,
        agent: "onprem",
      });
      return { server, dns, end: () => daemon.end() };
    },
  ],
  ["BIND by updates", ["named"], overUpdates(startNamed)],
  ["Knot by updates", ["knotd"], overUpdates(startKnot)],
  ["PowerDNS by updates", ["pdns_server", "pdnsutil", "sqlite3"], overUpdates(startPdnsForUpdates)],
];

for (const [title, tools, make] of SERVERS) {
  describeWith(tools, title, () => {
    // By updates it may answer from its own cache for 20 s: its check says so.
    const itFlips = title === "PowerDNS by updates" ? undefined : test;
    itFlips?.(
      `gives each of ${FLIPS} changed answers, and tells how soon`,
      async () => {
        const { server, dns, end } = await make();
        try {
          const name = `flip.${ZONE}`;
          const took: number[] = [];
          await server.put(name, spec("127.0.2.1"));
          for (let flip = 0; flip < FLIPS; flip += 1) {
            const address = `127.0.${1 + (flip % 2)}.1`;
            const started = performance.now();
            const put = server.put(name, spec(address));
            for (;;) {
              const { answers } = await ask(dns, { name, type: "A" });
              if (answers?.some((answer) => answer.type === "A" && answer.data === address)) break;
            }
            took.push(performance.now() - started);
            await put;
          }
          const [p50, p99] = [0.5, 0.99].map(
            (share) => [...took].sort((a, b) => a - b)[Math.floor(share * FLIPS)],
          );
          process.stdout.write(
            `${title}: changed answer after p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms\n`,
          );
          expect(took).toHaveLength(FLIPS);
        } finally {
          await end();
        }
      },
      120_000,
    );

    test("takes 1,000 records, lists them, and tells how soon", async () => {
      const { server, end } = await make();
      try {
        const started = performance.now();
        for (let at = 0; at < RECORDS; at += 1) await server.put(`r${at}.${ZONE}`, spec("127.0.1.1"));
        const putMs = performance.now() - started;
        const listed = performance.now();
        expect(await server.list()).toHaveLength(RECORDS);
        const listMs = performance.now() - listed;
        const again = performance.now();
        expect(await server.list()).toHaveLength(RECORDS);
        process.stdout.write(
          `${title}: ${RECORDS} records in ${(putMs / 1_000).toFixed(1)} s, listed in ${listMs.toFixed(0)} ms, unchanged in ${(performance.now() - again).toFixed(1)} ms\n`,
        );
      } finally {
        await end();
      }
    }, 240_000);
  });
}
