import { once } from "node:events";
import { createServer } from "node:net";
import type { RecordSpec } from "../../../lib/site/api";
import { ask } from "../../../providers/dns";
import { Rfc2136NameServer } from "../../../providers/rfc2136";
import { sendUpdate } from "../../../providers/rfc2136/exchange";
import { settingsOf } from "../../../providers/rfc2136/options";
import { deleteSet } from "../../../providers/rfc2136/wire";
import { freePort } from "../dns/support/daemon";
import { ZONE } from "../dns/support/pdns";
import { describeWith } from "../dns/support/tools";
import { KEY, startNamed, startSecondary, type UpdateServer } from "../dns/support/update-servers";

const spec = (address: string): RecordSpec => ({
  owner: "test",
  ttlSeconds: 30,
  answers: [{ site: "onprem", address, weight: 100 }],
});

describeWith(["named"], "a secondary", () => {
  const name = `shop.${ZONE}`;
  let primary: UpdateServer;
  let secondary: UpdateServer;
  let server: Rfc2136NameServer;

  beforeAll(async () => {
    const port = await freePort();
    primary = await startNamed({ secondaryPort: port });
    secondary = await startSecondary(port, primary.dns.port);
    server = new Rfc2136NameServer({
      server: `127.0.0.1:${primary.dns.port}`,
      zones: [ZONE],
      key: { name: KEY.name, secret: { file: primary.secretFile } },
      agent: "onprem",
      secondaries: [`127.0.0.1:${port}`],
      secondariesMs: 3_000,
    });
  });
  afterAll(async () => {
    await secondary.daemon.end();
    await primary.daemon.end();
  });

  const atSecondary = async () =>
    (await ask(secondary.dns, { name, type: "A" })).answers?.map((one) => "data" in one && one.data);

  test("has a change when the put is done", async () => {
    for (const address of ["127.0.1.1", "127.0.2.1", "127.0.1.1"]) {
      await server.put(name, spec(address));
      expect(await atSecondary()).toEqual([address]);
    }
  });

  test("that does not follow is named, and the same put waits for it again", async () => {
    secondary.daemon.signal("SIGSTOP");
    const wanted = spec("127.0.2.1");
    await expect(server.put(name, wanted)).rejects.toThrow(
      new RegExp(`secondary 127\\.0\\.0\\.1:${secondary.dns.port} does not answer`),
    );
    expect((await server.get(name))?.spec).toEqual(wanted);
    secondary.daemon.signal("SIGCONT");
    await server.put(name, wanted);
    expect(await atSecondary()).toEqual(["127.0.2.1"]);
  });
});

test("a server that takes the update and never answers is given up in time", async () => {
  const silent = createServer((socket) => socket.on("error", () => undefined).resume());
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as { port: number };
  process.env.SPILLWAY_TEST_SECRET = KEY.secret;
  const settings = settingsOf({
    server: `127.0.0.1:${port}`,
    zones: [ZONE],
    key: { name: KEY.name, secret: { environment: "SPILLWAY_TEST_SECRET" } },
    agent: "onprem",
    requestMs: 200,
  });
  const started = Date.now();
  const update = { zone: ZONE, prerequisites: [], changes: [deleteSet(`shop.${ZONE}`, "A")] };
  await expect(sendUpdate(settings, "record", update)).rejects.toThrow(/no answer within 200 ms/);
  expect(Date.now() - started).toBeLessThan(1_000);
  delete process.env.SPILLWAY_TEST_SECRET;
  silent.close();
});
