/** Flips a record between two addresses, asking the name server all the time: flip-script.mjs API KEY_FILE ZONE HOST PORT FLIPS. Prints what each took, ms. */
import { createRequire } from "node:module";

const built = createRequire(new URL("../../../dist/package.json", import.meta.url));
const { ask } = built("./providers/dns");
const { PowerDnsNameServer } = built("./providers/powerdns");

const [api, keyFile, zone, host, port, flips] = process.argv.slice(2);
const dns = { host, port: Number(port) };
const server = new PowerDnsNameServer({
  api,
  apiKey: { file: keyFile },
  allowPlainHttp: true,
  zones: [zone],
  endpoint: `${host}:${port}`,
  agent: "bench",
});
const name = `flip.${zone}`;
const spec = (address) => ({
  owner: "bench",
  ttlSeconds: 30,
  answers: [{ site: "onprem", address, weight: 100 }],
});

const took = [];
await server.put(name, spec("10.77.2.2"));
for (let flip = 0; flip < Number(flips); flip++) {
  const address = `10.77.${1 + (flip % 2)}.2`;
  const started = performance.now();
  const put = server.put(name, spec(address));
  for (;;) {
    const { answers } = await ask(dns, { name, type: "A" });
    if (answers?.some(({ type, data }) => type === "A" && data === address)) break;
  }
  took.push(performance.now() - started);
  await put;
}
process.stdout.write(JSON.stringify(took));
