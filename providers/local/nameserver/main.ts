import { messageOf } from "../../../lib/errors";
import type { RecordSpec } from "../../../lib/site/api";
import type { ControlAnswer, ControlRequest } from "../control";
import { argument, log, serveHelper } from "../helper-server";
import { Endpoint } from "./endpoint";
import { Records } from "./records";
import { Responder } from "./responder";

// The sockets of a process that was killed outlive it by some milliseconds.
const REOPEN_FIRST_MS = 20;
const REOPEN_MS = 500;

/** The name server's process: `node dist/providers/local/nameserver/main.js --state-dir DIR`. */
class NameServerProcess {
  private readonly responder = new Responder();
  private readonly records: Records;
  private endpoint: Endpoint | undefined;

  constructor(stateFile: string) {
    this.records = new Records(stateFile, () => this.load());
    this.load();
  }

  /** Listens where it listened before it was killed; as long as that is taken, it is tried again. */
  async restore(again = false): Promise<void> {
    const last = this.records.listening;
    if (last === undefined || this.endpoint !== undefined) return;
    try {
      this.endpoint = await Endpoint.open(last.address, last.port, this.responder);
    } catch (error) {
      if (!again) log(messageOf(error));
      setTimeout(() => void this.restore(true), again ? REOPEN_MS : REOPEN_FIRST_MS);
    }
  }

  async handle({ method, path, body }: ControlRequest): Promise<ControlAnswer> {
    const [kind, name] = path;
    if (kind === "endpoint" && method === "PUT") {
      const { address, port } = body as { address: string; port: number };
      return { status: 200, body: { port: await this.listen(address, port) } };
    }
    if (kind !== "records") return { status: 404 };
    if (name === undefined) return { status: 200, body: this.records.list() };
    if (method === "PUT") return { status: 200, body: this.records.put(name, body as RecordSpec) };
    if (method === "DELETE") {
      this.records.remove(name);
      return { status: 200 };
    }
    const record = this.records.get(name);
    return record === undefined ? { status: 404 } : { status: 200, body: record };
  }

  private async listen(address: string, asked: number): Promise<number> {
    const present = this.records.listening;
    const same = present !== undefined && present.address === address && present.asked === asked;
    if (same && this.endpoint !== undefined) return this.endpoint.port;
    const opened = await Endpoint.open(address, same ? present.port : asked, this.responder);
    this.endpoint?.close();
    this.endpoint = opened;
    this.records.listening = { address, asked, port: opened.port };
    this.load();
    return opened.port;
  }

  private load(): void {
    const address = this.records.listening?.address;
    const isAny = address === "0.0.0.0" || address === "::";
    this.responder.load(this.records.list(), isAny ? undefined : address);
  }
}

async function main(): Promise<void> {
  const stateDir = argument("state-dir");
  if (stateDir === undefined) throw new Error("--state-dir is missing");
  let server: NameServerProcess | undefined;
  await serveHelper({
    kind: "name-server",
    stateDir,
    begin: async (stateFile) => {
      server = new NameServerProcess(stateFile);
      await server.restore();
    },
    handle: (request) => (server as NameServerProcess).handle(request),
  });
}

main().catch((error: unknown) => {
  log(String(error));
  process.exit(1);
});
