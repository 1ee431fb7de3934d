import type { IncomingMessage } from "node:http";
import { formatBytes } from "../../duration";
import { messageOf } from "../../errors";
import { Spaces } from "../../image/wire/spaces";
import { type Claim, FairRoom, type FairRoomOptions, type Grant } from "./fair-room";
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

export interface BodyRoomOptions extends FairRoomOptions {
  readonly log: (line: string) => void;
}

/**
 * Bounds what bodies take of the agent's memory: who finds no room waits, unread, and TCP slows the sender. Small ones have room of
 * their own, so that a question is answered while images arrive, and each transfer its fair share of both.
 */
export class BodyRoom {
  private readonly large: FairRoom;
  private readonly small: FairRoom;
  private readonly spaces = new Spaces(READY_SPACES);

  constructor(private readonly options: BodyRoomOptions) {
    this.large = new FairRoom(LARGE_BUDGET_BYTES, options);
    this.small = new FairRoom(SMALL_BUDGET_BYTES, options);
  }

  /**
   * Does something with room for a body.
   * @throws AbortedError when nobody waits for it any more
   */
  hold<T>(request: IncomingMessage, claim: BodyClaim, work: (grant: Grant) => Promise<T>): Promise<T> {
    const { bytes, party, signal } = claim;
    if (bytes === 0) return work(NOTHING_COMES);
    const onTooSlow = (arrivedBytes: number) => {
      const share = `${formatBytes(arrivedBytes)} of ${formatBytes(bytes)} came`;
      this.options.log(`${claim.place}: given up, for ${share} while others waited for room`);
      request.destroy();
    };
    const room = bytes > MAX_JSON_BYTES ? this.large : this.small;
    return room.hold({ party, bytes, signal, onTooSlow }, work);
  }

  /**
   * Reads a body, in room that is held for it.
   * @throws AgentError `too-large`, or when the connection breaks
   */
  async read(request: IncomingMessage, route: Route, announced: number, grant: Grant): Promise<Body> {
    const isKnown = request.headers["content-length"] !== undefined && announced > MAX_JSON_BYTES;
    const space = isKnown ? this.spaces.take(announced) : undefined;
    const release = () => space && this.spaces.give(space);
    try {
      const bytes = await readBody(request, route, announced, grant, space);
      grant.whole();
      return { bytes, release };
    } catch (error) {
      release();
      throw error;
    }
  }
}

const NOTHING_COMES: Grant = { arrived: () => undefined, whole: () => undefined };

/** What a body wants room for. */
export interface BodyClaim extends Pick<Claim, "party" | "bytes" | "signal"> {
  /** For the log. */
  readonly place: string;
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
  grant: Grant,
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
      grant.arrived(chunk.length);
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
