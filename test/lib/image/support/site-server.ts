import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ImageStore } from "../../../../lib/image/far";
import { Images } from "../../../../lib/site/agent/images";
import { Router } from "../../../../lib/site/agent/router";
import { routesOf, type SiteRooms } from "../../../../lib/site/agent/routes";
import { AgentServer } from "../../../../lib/site/agent/server";
import { TokenCheck } from "../../../../lib/site/agent/token";
import { SiteClient } from "../../../../lib/site/client";

/** What becomes of a request on its way: it arrives, changed perhaps, or its connection breaks. */
export type Fate = (
  request: IncomingMessage,
  body: Buffer,
) => Promise<Buffer | "reset" | "reset after"> | Buffer | "reset" | "reset after";

const TOKEN = "only-a-test-of-images";

/** The image part of an agent, real but for its pools, behind a link with a will of its own. */
export class SiteServer {
  private agent: AgentServer | undefined;
  private link: Server | undefined;
  private port = 0;
  /** What was asked for: `open`, `segment`, `complete`, or the last part of the path. */
  readonly seen: string[] = [];
  fate: Fate = (_request, body) => body;

  constructor(public store: ImageStore) {}

  async start(): Promise<void> {
    const nothing = { add: () => undefined, usedBy: () => [], forget: async () => undefined };
    const images = new Images(this.store, ...([nothing, nothing, nothing] as unknown as Others));
    this.agent = await AgentServer.listen({
      listen: { host: "127.0.0.1", port: 0 },
      token: new TokenCheck(TOKEN),
      router: new Router(routesOf({ images } as SiteRooms)),
      log: () => undefined,
    });
    this.link = createServer((request, response) => void this.carry(request, response));
    await new Promise<void>((resolve) => this.link?.listen(this.port, "127.0.0.1", resolve));
    this.port = (this.link.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    const stopped = new Promise((resolve) => this.link?.close(resolve));
    this.link?.closeAllConnections();
    await stopped;
    await this.agent?.close();
  }

  client(): SiteClient {
    process.env.SPILLWAY_IMAGE_TEST_TOKEN = TOKEN;
    return new SiteClient("cloud", { endpoint: this.endpoint, tokenEnv: "SPILLWAY_IMAGE_TEST_TOKEN" });
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  private async carry(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    try {
      for await (const part of request) parts.push(part as Buffer);
    } catch {
      return;
    }
    this.seen.push(verbOf(request));
    const sent = Buffer.concat(parts);
    const fate = await this.fate(request, Buffer.from(sent));
    if (fate === "reset") return void request.socket.destroy();
    const body = fate === "reset after" ? sent : fate;
    try {
      const answer = await fetch(`${this.agent?.endpoint}${request.url}`, {
        method: request.method,
        headers: { authorization: request.headers.authorization ?? "" },
        body: request.method === "GET" ? undefined : new Uint8Array(body),
      });
      const answered = Buffer.from(await answer.arrayBuffer());
      if (fate === "reset after") return void request.socket.destroy();
      response.writeHead(answer.status).end(answered);
    } catch {
      // The agent was stopped meanwhile.
      request.socket.destroy();
    }
  }
}

type Others = ConstructorParameters<typeof Images> extends [unknown, ...infer Rest] ? Rest : never;

/** What a request wants. */
export function verbOf({ url = "" }: IncomingMessage): string {
  const [, , room, , verb] = url.split("/");
  if (room === "transfers" && verb === undefined) return "open";
  return verb === "segments" ? "segment" : (verb ?? "status");
}
