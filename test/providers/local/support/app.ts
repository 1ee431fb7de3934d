import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createHash } from "node:crypto";
import type { AddressInfo, Socket } from "node:net";

/** A small real application, as a member of a pool: each path shows one behaviour. */
export interface App {
  readonly id: string;
  readonly port: number;
  readonly server: Server;
  /** Requests seen, monitors' not counted. */
  readonly seen: IncomingMessage[];
  /** Highest number of requests served at the same time. */
  peak: number;
  healthy: boolean;
  close(): Promise<void>;
}

export async function startApp(id: string): Promise<App> {
  let busy = 0;
  const sockets = new Set<Socket>();
  const server = createServer({ keepAliveTimeout: 5_000 }, (request, response) => {
    if (request.headers["user-agent"] === "spillway-monitor") {
      response.writeHead(app.healthy ? 200 : 503).end();
      return;
    }
    app.seen.push(request);
    busy += 1;
    app.peak = Math.max(app.peak, busy);
    response.on("close", () => (busy -= 1));
    serve(id, request, response);
  });
  server.on("upgrade", (request: IncomingMessage, socket: Socket) => upgrade(id, request, socket));
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const app: App = {
    id,
    port: (server.address() as AddressInfo).port,
    server,
    seen: [],
    peak: 0,
    healthy: true,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
  return app;
}

function serve(id: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", "http://app");
  const number = (name: string) => Number(url.searchParams.get(name) ?? 0);
  const json = (value: unknown) => {
    const text = JSON.stringify(value);
    response.writeHead(200, {
      "content-type": "application/json",
      "content-length": text.length,
      "x-member": id,
    });
    response.end(text);
  };
  switch (url.pathname) {
    case "/id":
      return void setTimeout(() => json({ id }), number("ms")).unref();
    case "/headers":
      return json({ id, method: request.method, raw: request.rawHeaders });
    case "/digest": {
      const hash = createHash("sha256");
      let bytes = 0;
      request.on("data", (chunk: Buffer) => {
        hash.update(chunk);
        bytes += chunk.length;
      });
      return void request.on("end", () => json({ id, bytes, digest: hash.digest("hex") }));
    }
    case "/bytes": {
      const chunk = Buffer.alloc(64 * 1024, "spillway ");
      let left = number("count");
      response.writeHead(200, url.searchParams.has("length") ? { "content-length": left } : {});
      const pump = () => {
        while (left > 0) {
          const part = chunk.subarray(0, Math.min(left, chunk.length));
          left -= part.length;
          if (!response.write(part)) return void response.once("drain", pump);
        }
        response.end();
      };
      return pump();
    }
    case "/events":
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.flushHeaders();
      return void setTimeout(() => response.end("data: one\n\n"), number("ms"));
    case "/trailers":
      response.writeHead(200, { trailer: "x-sum" });
      response.write("body");
      response.addTrailers({ "x-sum": "4" });
      return void response.end();
    case "/hop":
      response.writeHead(200, { connection: "close, x-private", "x-private": "1", "x-public": "1" });
      return void response.end("hop");
    case "/no-content":
      return void response.writeHead(204).end();
    case "/cut":
      response.writeHead(200, { "content-length": 1_000 });
      return void response.write("half of it", () => request.socket.destroy());
    case "/reset":
      return void request.socket.resetAndDestroy();
    case "/rogue":
      return void request.socket.write(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
      );
    case "/refuse-body":
      return json({ id, refused: true });
    default:
      response.writeHead(404).end();
  }
}

/** Accepts any upgrade and sends back what it gets, in capitals, with its id first. */
function upgrade(id: string, request: IncomingMessage, socket: Socket): void {
  if (request.url === "/no-upgrade") {
    return void socket.end("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno");
  }
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${request.headers.upgrade}\r\n\r\n${id}:`,
  );
  socket.on("data", (data: Buffer) => socket.write(data.toString().toUpperCase()));
  socket.on("end", () => socket.end());
  socket.on("error", () => socket.destroy());
}
