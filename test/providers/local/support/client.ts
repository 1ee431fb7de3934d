import { request, type Agent, type IncomingHttpHeaders, type RequestOptions } from "node:http";
import { connect, type Socket } from "node:net";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly raw: readonly string[];
  readonly body: string;
  readonly json: () => { id: string; [key: string]: unknown };
  /** Did it come over a connection that was used before? */
  readonly reused: boolean;
}

/** One real HTTP request; throws when the connection breaks. */
export function ask(
  port: number,
  path: string,
  options: RequestOptions & { body?: string | Buffer; agent?: Agent | false } = {},
): Promise<Answer> {
  const { body, ...rest } = options;
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path, agent: false, ...rest }, (incoming) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("error", reject);
      incoming.on("end", () => {
        const text = Buffer.concat(chunks).toString();
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          raw: incoming.rawHeaders,
          body: text,
          json: () => JSON.parse(text) as { id: string },
          reused: asked.reusedSocket,
        });
      });
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

/** The affinity cookie that an answer set, as a `Cookie` header has it; undefined when it set none. */
export function cookieOf(answer: Answer): string | undefined {
  const set = answer.headers["set-cookie"]?.find((cookie) => cookie.startsWith("SPILLWAY_"));
  return set?.split(";")[0];
}

/** A raw connection that collects what comes. */
export interface RawClient {
  readonly socket: Socket;
  text(): string;
  send(text: string): void;
  /** Waits until what came matches, for 5 s at most. */
  expect(pattern: RegExp, withinMs?: number): Promise<string>;
  readonly closed: Promise<void>;
}

export async function rawClient(port: number, host = "127.0.0.1"): Promise<RawClient> {
  const socket = connect({ port, host, allowHalfOpen: true });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  let received = "";
  socket.on("data", (chunk: Buffer) => (received += chunk.toString("latin1")));
  socket.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => {
    socket.on("close", () => resolve());
    socket.on("end", () => {
      socket.end();
      resolve();
    });
  });
  return {
    socket,
    closed,
    text: () => received,
    send: (text) => void socket.write(text, "latin1"),
    expect: async (pattern, withinMs = 5_000) => {
      const deadline = Date.now() + withinMs;
      while (!pattern.test(received)) {
        if (Date.now() > deadline) throw new Error(`${pattern} never came; got ${JSON.stringify(received)}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      return received;
    },
  };
}
