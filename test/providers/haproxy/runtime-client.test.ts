import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { rmSync } from "node:fs";
import { AbortedError } from "../../../lib/errors";
import { RuntimeClient, RuntimeRefusal, RuntimeSilence } from "../../../providers/haproxy";
import { temporaryFolder } from "../local/support/balancer";

let folder: string;
let server: Server | undefined;

beforeEach(() => (folder = temporaryFolder()));
afterEach(async () => {
  const ending = server;
  server = undefined;
  if (ending) await new Promise<void>((resolve) => ending.close(() => resolve()));
  rmSync(folder, { recursive: true, force: true });
});

/** Somebody at a socket who answers as told; returns the socket's path and the lines that came. */
async function serving(answer: (line: string, socket: Socket) => void) {
  const path = join(folder, "runtime.sock");
  const lines: string[] = [];
  server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      lines.push(data.toString());
      answer(data.toString(), socket);
    });
  });
  await new Promise<void>((resolve) => server?.listen(path, resolve));
  return { path, lines };
}

describe("the Runtime API's client", () => {
  test("asks one line on a connection of its own, and has the whole answer", async () => {
    const { path, lines } = await serving((_, socket) => {
      socket.write("first ");
      setTimeout(() => socket.end("second\n\n"), 30);
    });
    expect(await new RuntimeClient({ socket: path }).ask("show info")).toBe("first second");
    expect(lines).toEqual(["show info\n"]);
  });

  test("speaks to a worker through its master by a prefix before each command", async () => {
    const { path, lines } = await serving((_, socket) => socket.end("\n"));
    await new RuntimeClient({ socket: path }).withPrefix("@!7 ").ask("show info; show stat");
    expect(lines).toEqual(["@!7 show info; @!7 show stat\n"]);
  });

  test("gives up a silence at its deadline, and says who was silent about what", async () => {
    const { path } = await serving((_, socket) => setTimeout(() => socket.destroy(), 400));
    const started = Date.now();
    const asked = new RuntimeClient({ socket: path }).ask("show info", { timeoutMs: 100 });
    await expect(asked).rejects.toThrow(RuntimeSilence);
    await expect(asked).rejects.toThrow(/`show info` within 100 ms.*runtime\.sock/);
    expect(Date.now() - started).toBeLessThan(350);
  });

  test("stops at once when it is told to", async () => {
    const { path } = await serving((_, socket) => setTimeout(() => socket.destroy(), 400));
    const abort = new AbortController();
    const asked = new RuntimeClient({ socket: path }).ask("show info", { signal: abort.signal });
    setTimeout(() => abort.abort(), 50);
    await expect(asked).rejects.toThrow(AbortedError);
    await expect(new RuntimeClient({ socket: path }).ask("x", { signal: abort.signal })).rejects.toThrow(
      AbortedError,
    );
  });

  test("an order that is answered with other words than expected is a refusal with these words", async () => {
    const { path } = await serving((line, socket) =>
      socket.end(line.startsWith("add") ? "New server registered.\n" : "No such server.\n\n"),
    );
    const client = new RuntimeClient({ socket: path });
    await client.order("add server b/s 127.0.0.1:1", /registered/);
    const refused = client.order("set server b/s state maint");
    await expect(refused).rejects.toThrow(RuntimeRefusal);
    await expect(refused).rejects.toMatchObject({ answer: "No such server." });
  });

  test("a level that is too low is told as such, whatever was asked", async () => {
    const { path } = await serving((_, socket) => socket.end("Permission denied\n\n"));
    await expect(new RuntimeClient({ socket: path }).ask("add server b/s 1.2.3.4:5")).rejects.toMatchObject({
      report: {
        problem: "the socket's level does not allow `add server`",
        mend: expect.stringMatching(/level admin/),
      },
    });
  });

  test("a command of two lines is never sent", async () => {
    const { path, lines } = await serving((_, socket) => socket.end("\n"));
    await expect(new RuntimeClient({ socket: path }).ask("show info\nshutdown")).rejects.toThrow(
      /more than one line/,
    );
    expect(lines).toEqual([]);
  });
});
