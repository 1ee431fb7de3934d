import { Agent } from "node:http";
import { startApp, type App } from "../local/support/app";
import { PROBE_KEY, memberOf } from "../local/support/balancer";
import { ask, cookieOf, rawClient } from "../local/support/client";
import { describeWithHaproxy, startHaproxy, type TestHaproxy } from "./support/haproxy";

let site: TestHaproxy;
let one: App;
let two: App;

const keepAlive = () => new Agent({ keepAlive: true, maxSockets: 1 });
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describeWithHaproxy("who counts as a user of a HAProxy", () => {
  beforeAll(async () => {
    site = await startHaproxy();
    [one, two] = [await startApp("one"), await startApp("two")];
  });
  afterAll(async () => {
    await site.end();
    await Promise.all([one.close(), two.close()]);
  });

  test("a kept connection that has sent a request is one, and gone when it closes", async () => {
    const { listen } = await site.pool("kept", [memberOf(one)]);
    const agent = keepAlive();
    await ask(listen.port, "/id", { agent });
    await ask(listen.port, "/id", { agent });
    expect((await site.view("kept")).traffic).toMatchObject({
      sessions: 1,
      openConnections: 1,
      quietMs: 0,
      requestsTotal: 2,
    });
    agent.destroy();
    await site.until("kept", ({ traffic }) => traffic.sessions === 0 && traffic.openConnections === 0);
    await pause(60);
    const { quietMs } = (await site.view("kept")).traffic;
    expect(quietMs).toBeGreaterThan(50);
    expect(quietMs).toBeLessThan(5_000);
  });
});
