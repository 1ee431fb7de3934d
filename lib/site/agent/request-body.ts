import type { IncomingMessage } from "node:http";
import { formatBytes } from "../../duration";
import { messageOf } from "../../errors";
import { AgentError } from "./problems";
import type { Route } from "./router";

const MAX_JSON_BYTES = 256 * 1024;
/** Bodies up to this size share the places of small ones; above, one is read at a time. */
const LARGE_BYTES = 8 * 1024 * 1024;
const SMALL_AT_ONCE = 8;

/** Bounds what bodies take of the agent's memory: who finds no place waits, unread, and TCP slows the sender. */
export class BodyPlaces {
  private free = { small: SMALL_AT_ONCE, large: 1 };
  private readonly waiting: Record<"small" | "large", (() => void)[]> = { small: [], large: [] };

  async hold<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    const kind = bytes > LARGE_BYTES ? "large" : "small";
    if (this.free[kind] > 0) this.free[kind]--;
    else await new Promise<void>((resolve) => this.waiting[kind].push(resolve));
    try {
      return await work();
    } finally {
      const next = this.waiting[kind].shift();
      if (next) next();
      else this.free[kind]++;
    }
  }
}

/** How large the body says it is, judged before a byte of it is read. @throws AgentError `too-large`, `invalid` */
export function announcedBytes(request: IncomingMessage, route: Route): number {
  const max = maxBytes(route);
  const length = request.headers["content-length"];
  if (length === undefined) return request.headers["transfer-encoding"] === undefined ? 0 : max;
  const bytes = Number(length);
  if (bytes > max) throw tooLarge(route, bytes, max);
  return bytes;
}

/** Reads a body. @throws AgentError `too-large`, or when the connection breaks */
export async function readBody(request: IncomingMessage, route: Route, announced: number): Promise<Buffer> {
  const max = maxBytes(route);
  const place = `${route.method} ${route.path}`;
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    // Not destroyed when it is left early: the refusal goes over the same connection.
    const reading = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
    for await (const chunk of reading) {
      bytes += chunk.length;
      if (bytes > max) throw tooLarge(route, bytes, max);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof AgentError) throw error;
    throw new AgentError("invalid", {
      place,
      problem: `the body broke off after ${formatBytes(bytes)} of ${formatBytes(announced)}: ${messageOf(error)}`,
      mend: "Send it again.",
    });
  }
  return chunks.length === 1 ? chunks[0] : Buffer.concat(chunks, bytes);
}

/** @throws AgentError `invalid` */
export function parseJson(body: Buffer, route: Route): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    throw new AgentError("invalid", {
      place: `${route.method} ${route.path}`,
      problem:
        body.length === 0 ? "the body must be JSON, got none" : `the body is not JSON: ${messageOf(error)}`,
      mend: "Send an object as lib/site/openapi.yaml describes it.",
    });
  }
}

function maxBytes({ takes }: Route): number {
  // A route that takes nothing passes over a small body: some clients send {} with every POST.
  return typeof takes === "object" ? takes.maxBytes : MAX_JSON_BYTES;
}

function tooLarge(route: Route, bytes: number, max: number): AgentError {
  return new AgentError("too-large", {
    place: `${route.method} ${route.path}`,
    problem: `the body has ${formatBytes(bytes)} or more, at most ${formatBytes(max)} are taken`,
    mend: "Send less at once.",
  });
}
