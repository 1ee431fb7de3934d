import { Agent, createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { sleep } from "../../../lib/wait";
import { parseCall, type ApiCall } from "./api-call";
import { EmulatorGaps } from "./emulator-gaps";
import { errorAnswer } from "./error-answer";
import { Faults, throttlingOf, type ActiveFault, type FaultRule } from "./faults";

/** A call that came, in the order of coming. */
export interface RecordedCall extends ApiCall {
  readonly number: number;
  /** Milliseconds, as `Date.now`. */
  readonly at: number;
  /** Of the answer; 0 while there is none, or when it was never given. */
  status: number;
  /** When it was answered. */
  answeredAt?: number;
  /** What AWS gave for it, where that is text. */
  answer?: string;
}

/** The moment at which the world stands still. */
export interface Pause {
  /** The call that was reached. Never settles when none is. */
  readonly reached: Promise<RecordedCall>;
  /** Breaks what is held, and lets the world go on. */
  release(): void;
}

export interface PauseRule {
  readonly when: (call: ApiCall) => boolean;
  /** Which matching call, from 1. */
  readonly nth: number;
  /** Has AWS done it, when the world stands still? */
  readonly done: boolean;
}

/** Between clients and AWS: writes down what is asked, and does harm on demand. */
export interface AwsProxy {
  readonly endpoint: string;
  readonly calls: readonly RecordedCall[];
  fault(rule: FaultRule): ActiveFault;
  clearFaults(): void;
  /** At the call that is told, every call from then on is held, until it is released: time for a `kill -9`. */
  pauseAt(rule: PauseRule): Pause;
  close(): Promise<void>;
}

export interface ProxyOptions {
  /**
   * The provider waits 10 to 30 s after each change of a record before it looks whether it has come to pass. With this it is told
   * nothing that it could look at, as some changes do in truth.
   * @default false
   */
  readonly promptRecords?: boolean;
}

export async function startProxy(upstream: string, options: ProxyOptions = {}): Promise<AwsProxy> {
  const { hostname, port } = new URL(upstream);
  const agent = new Agent({ keepAlive: true, maxSockets: 128 });
  const calls: RecordedCall[] = [];
  const faults = new Faults();
  const gaps = new EmulatorGaps();
  let pausing: (PauseRule & { seen: number; reach: (call: RecordedCall) => void }) | undefined;
  let standing: Promise<void> | undefined;

  const forward = async (
    incoming: IncomingMessage,
    body: Buffer,
  ): Promise<{ status: number; headers: IncomingMessage["headers"]; body: Buffer }> =>
    new Promise((resolve, reject) => {
      const outgoing = request(
        {
          hostname,
          port,
          agent,
          method: incoming.method,
          path: incoming.url,
          headers: headersFor(incoming, body),
        },
        (answer) => {
          read(answer).then(
            (text) => resolve({ status: answer.statusCode ?? 502, headers: answer.headers, body: text }),
            reject,
          );
        },
      );
      outgoing.once("error", reject);
      outgoing.end(body);
    });

  const handle = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const body = await read(incoming);
    const parsed = parseCall(incoming.method ?? "GET", incoming.url ?? "/", incoming.headers, body);
    const call: RecordedCall = { ...parsed, number: calls.length, at: Date.now(), status: 0 };
    calls.push(call);

    // A world that stands still has not heard this call, and whoever sent it will not hear of it.
    if (standing) return standing.then(() => void outgoing.destroy());
    const pause = pausing?.when(call) && ++pausing.seen === pausing.nth ? pausing : undefined;
    if (pause && !pause.done) return stand(pause.reach, call, outgoing);

    const fault = faults.of(call);
    const refuse = (status: number, code: string, message: string): void => {
      const answer = errorAnswer(call, status, code, message);
      Object.assign(call, { status, answeredAt: Date.now() });
      outgoing.writeHead(status, answer.headers).end(answer.body);
    };
    switch (fault?.kind) {
      case "hang":
        return;
      case "reset":
        outgoing.destroy();
        return;
      case "throttle": {
        const { status, code, message } = throttlingOf(call);
        return refuse(status, code, message);
      }
      case "error":
        return refuse(fault.status, fault.code, fault.message);
      case "delay":
        await sleep(fault.ms);
    }

    const answer = await forward(incoming, gaps.mended(call, body));
    if (/xml|json/.test(answer.headers["content-type"] ?? "") && answer.body.length < 100_000)
      call.answer = answer.body.toString("utf8");
    if (pause) return stand(pause.reach, call, outgoing);
    if (fault?.kind === "lost-answer") {
      outgoing.destroy();
      return;
    }
    Object.assign(call, { status: answer.status, answeredAt: Date.now() });
    const given =
      options.promptRecords && call.action === "ChangeResourceRecordSets"
        ? Buffer.from(answer.body.toString("utf8").replace(/<ChangeInfo>[^]*<\/ChangeInfo>/, ""))
        : answer.body;
    const { "transfer-encoding": _, ...headers } = answer.headers;
    outgoing.writeHead(answer.status, { ...headers, "content-length": given.length }).end(given);
  };

  const stand = (reach: (call: RecordedCall) => void, call: RecordedCall, outgoing: ServerResponse): void => {
    standing = new Promise((resolve) => (release = resolve));
    void standing.then(() => outgoing.destroy());
    pausing = undefined;
    reach(call);
  };
  let release: () => void = () => undefined;

  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => outgoing.destroy());
  });
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    fault: (rule) => faults.add(rule),
    clearFaults: () => faults.clear(),
    pauseAt: (rule) => ({
      reached: new Promise((reach) => (pausing = { ...rule, seen: 0, reach })),
      release: () => {
        pausing = undefined;
        standing = undefined;
        release();
      },
    }),
    close: async () => {
      release();
      agent.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A body may have been written anew on its way. */
function headersFor({ headers }: IncomingMessage, body: Buffer): IncomingMessage["headers"] {
  return headers["content-length"] === undefined
    ? headers
    : { ...headers, "content-length": String(body.length) };
}

async function read(stream: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
