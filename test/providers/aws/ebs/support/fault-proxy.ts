import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What was asked: `PUT /snapshots/snap-1/blocks/3`, or an EC2 action. */
export interface Call {
  readonly name: string;
  readonly at: number;
  /** Of a block that is written or read. */
  readonly block?: number;
}

/** What is answered instead of what the service would. `hang`: nothing, ever; `drop`: the connection is cut. */
export type Fault =
  | "hang"
  | "drop"
  | { readonly status: number; readonly type: string; readonly message?: string; readonly headers?: object }
  /** An answer of EC2: XML. */
  | { readonly answer: string }
  /** The service's own answer with other headers. */
  | { readonly headersOfAnswer: Record<string, string> };

/** A proxy in front of the service: notes each call, and answers some of them itself. */
export class FaultProxy {
  readonly calls: Call[] = [];
  /** Undefined: the service answers. */
  fault: (call: Call) => Fault | undefined = () => undefined;
  delayMs = 0;

  private constructor(
    private readonly server: ReturnType<typeof createServer>,
    private readonly target: URL,
  ) {}

  static async before(endpoint: string): Promise<FaultProxy> {
    const server = createServer();
    const proxy = new FaultProxy(server, new URL(endpoint));
    server.on("request", (asked, answer) => void proxy.handle(asked, answer));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Blocks that were put, in order, with those that were refused. */
  puts(): number[] {
    return this.calls.filter(({ name }) => name === "PutSnapshotBlock").map(({ block = -1 }) => block);
  }

  count(name: string): number {
    return this.calls.filter((call) => call.name === name).length;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async handle(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    try {
      for await (const part of asked) parts.push(part as Buffer);
    } catch {
      return;
    }
    const body = Buffer.concat(parts);
    const call = callOf(asked, body);
    this.calls.push(call);
    const fault = this.fault(call);
    if (fault === "hang") return;
    if (fault === "drop") return void asked.socket.destroy();
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    if (fault && "answer" in fault) {
      answer.writeHead(200, { "content-type": "text/xml" });
      answer.end(fault.answer);
      return;
    }
    if (fault && "status" in fault) {
      const { status, type, message = type, headers } = fault;
      const isEc2 = call.name.startsWith("ec2:");
      answer.writeHead(status, {
        "x-amzn-errortype": type,
        "content-type": isEc2 ? "text/xml" : "application/json",
        ...headers,
      });
      answer.end(
        isEc2
          ? `<Response><Errors><Error><Code>${type}</Code><Message>${message}</Message></Error></Errors><RequestID>r</RequestID></Response>`
          : JSON.stringify({ Message: message, Reason: "TEST" }),
      );
      return;
    }
    const { method, url, headers } = asked;
    const { hostname, port } = this.target;
    const onward = request({ hostname, port, method, path: url, headers }, (reply) => {
      answer.writeHead(reply.statusCode ?? 500, { ...reply.headers, ...fault?.headersOfAnswer });
      reply.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    onward.end(body);
  }
}

function callOf({ method, url = "" }: IncomingMessage, body: Buffer): Call {
  const at = Date.now();
  const block = /\/blocks\/(\d+)/.exec(url)?.[1];
  if (block !== undefined) {
    return { name: method === "PUT" ? "PutSnapshotBlock" : "GetSnapshotBlock", at, block: Number(block) };
  }
  if (/\/snapshots\/completion\//.test(url)) return { name: "CompleteSnapshot", at };
  if (/\/blocks(\?|$)/.test(url)) return { name: "ListSnapshotBlocks", at };
  if (url === "/snapshots") return { name: "StartSnapshot", at };
  return { name: `ec2:${/(?:^|&)Action=(\w+)/.exec(body.toString("latin1"))?.[1] ?? "?"}`, at };
}
