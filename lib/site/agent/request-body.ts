import type { IncomingMessage } from "node:http";
import { formatBytes } from "../../duration";
import { messageOf } from "../../errors";
import { Spaces } from "../../image/wire/spaces";
import { AgentError } from "./problems";
import type { Route } from "./router";

const MAX_JSON_BYTES = 256 * 1024;
/** What is being received at once, and worked upon. */
const LARGE_BUDGET_BYTES = 48 * 1024 * 1024;
const SMALL_BUDGET_BYTES = 8 * 1024 * 1024;
/** Spaces for bodies that lie ready: as many as usually come in at once. */
const READY_SPACES = 12;

/** A body, and its memory. */
export interface Body {
  readonly bytes: Buffer;
  /** Its memory is used again: nobody may look at `bytes` any more. */
  release(): void;
}

/**
 * Bounds what bodies take of the agent's memory: who finds no room waits, unread, and TCP slows the sender. Small ones have room of
 * their own, so that a question is answered while images arrive.
 */
export class BodyRoom {
  private readonly large = new Budget(LARGE_BUDGET_BYTES);
  private readonly small = new Budget(SMALL_BUDGET_BYTES);
  private readonly spaces = new Spaces(READY_SPACES);

  hold<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    return bytes === 0 ? work() : (bytes > MAX_JSON_BYTES ? this.large : this.small).hold(bytes, work);
  }

  /**
   * Reads a body, in room that is held for it.
   * @throws AgentError `too-large`, or when the connection breaks
   */
  async read(request: IncomingMessage, route: Route, announced: number): Promise<Body> {
    const isKnown = request.headers["content-length"] !== undefined && announced > MAX_JSON_BYTES;
    if (!isKnown) return { bytes: await readBody(request, route, announced), release: () => undefined };
    const space = this.spaces.take(announced);
    const release = () => this.spaces.give(space);
    try {
      return { bytes: await readBody(request, route, announced, space), release };
    } catch (error) {
      release();
      throw error;
    }
  }
}

/** So many bytes and no more; whoever came first is first. */
class Budget {
  private free: number;
  private readonly waiting: { readonly bytes: number; readonly go: () => void }[] = [];

  constructor(private readonly whole: number) {
    this.free = whole;
  }

  async hold<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    const share = Math.min(bytes, this.whole);
    if (this.waiting.length === 0 && share <= this.free) this.free -= share;
    else await new Promise<void>((go) => this.waiting.push({ bytes: share, go }));
    try {
      return await work();
    } finally {
      this.free += share;
      for (let next; (next = this.waiting[0]) && next.bytes <= this.free;) {
        this.waiting.shift();
        this.free -= next.bytes;
        next.go();
      }
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

/** @param into where it goes, if its length is known */
async function readBody(
  request: IncomingMessage,
  route: Route,
  announced: number,
  into?: Buffer,
): Promise<Buffer> {
  const max = maxBytes(route);
  const place = `${route.method} ${route.path}`;
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    // Not destroyed when it is left early: the refusal goes over the same connection.
    const reading = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
    for await (const chunk of reading) {
      if (into) chunk.copy(into, bytes);
      else chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > max) throw tooLarge(route, bytes, max);
    }
  } catch (error) {
    if (error instanceof AgentError) throw error;
    throw new AgentError("invalid", {
      place,
      problem: `the body broke off after ${formatBytes(bytes)} of ${formatBytes(announced)}: ${messageOf(error)}`,
      mend: "Send it again.",
    });
  }
  if (into) return into.subarray(0, bytes);
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
