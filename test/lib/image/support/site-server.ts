import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { ImageStoreError, type ImageStore } from "../../../../lib/image";
import { SiteClient } from "../../../../lib/site/client";

/** What becomes of a request on its way: it arrives, changed perhaps, or its connection breaks. */
export type Fate = (
  request: IncomingMessage,
  body: Buffer,
) => Promise<Buffer | "reset" | "reset after"> | Buffer | "reset" | "reset after";

/** The image part of an agent's API over HTTP, on a link with a will of its own. */
export class SiteServer {
  private server: Server | undefined;
  private port = 0;
  /** Requests by method and last part of the path that named a verb. */
  readonly seen: string[] = [];
  fate: Fate = (_request, body) => body;

  constructor(public store: ImageStore) {}

  async start(): Promise<void> {
    this.server = createServer((request, response) => void this.handle(request, response));
    await new Promise<void>((resolve) => this.server?.listen(this.port, "127.0.0.1", resolve));
    this.port = (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const stopped = new Promise((resolve) => this.server?.close(resolve));
    this.server?.closeAllConnections();
    await stopped;
  }

  client(): SiteClient {
    process.env.SPILLWAY_IMAGE_TEST_TOKEN = "only-a-test";
    return new SiteClient("cloud", { endpoint: this.endpoint, tokenEnv: "SPILLWAY_IMAGE_TEST_TOKEN" });
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, , , digest = "", verb = "status", id = ""] = decodeURIComponent(request.url ?? "").split("/");
    const parts: Buffer[] = [];
    try {
      for await (const part of request) parts.push(part as Buffer);
    } catch {
      return;
    }
    this.seen.push(verb);
    const body = await this.fate(request, Buffer.concat(parts));
    if (body === "reset") return void request.socket.destroy();
    const arrived = body === "reset after" ? Buffer.concat(parts) : body;
    let [status, answer]: [number, unknown] = [200, undefined];
    try {
      answer = await this.answer(digest, verb, id, arrived);
    } catch (error) {
      if (!(error instanceof ImageStoreError)) throw error;
      [status, answer] = [error.status, { code: error.code, ...error.report }];
    }
    if (body === "reset after") return void request.socket.destroy();
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }

  private answer(digest: string, verb: string, id: string, body: Buffer): Promise<unknown> {
    if (verb === "offer") return this.store.offer(digest, body);
    if (verb === "segments") return this.store.putSegment(digest, id, body);
    if (verb === "complete") return this.store.complete(digest);
    if (verb === "estimate") return this.store.estimate(digest, body);
    return this.store.status(digest);
  }
}
