import { randomBytes } from "node:crypto";
import { chmod } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import type { StreamsOffer } from "./protocol";
import { makeSocketDirectory } from "./socket-directory";

/** A near side's right to bring further streams, until it is taken back. */
export interface StreamsPass {
  readonly offer: StreamsOffer;
  /** Streams that run go on; no others join. */
  readonly revoke: () => void;
}

/**
 * Where further streams of near sides arrive, forwarded by ssh, so that each needs no process of its own here. A socket in a directory that
 * is this user's alone, with a name that cannot be guessed. Both are removed with this process, also when it is killed.
 */
export class StreamSocket {
  private readonly sessions = new Set<string>();

  private constructor(
    private readonly path: string,
    private readonly server: Server,
    private readonly remove: () => void,
  ) {}

  /**
   * @param serve called with each connection
   * @returns undefined where there can be none: streams then need processes
   */
  static async open(serve: (socket: Socket) => void): Promise<StreamSocket | undefined> {
    const made = await makeSocketDirectory("spillway-streams-", randomBytes(16).toString("hex"));
    if (!made) return undefined;
    const { path, remove } = made;
    const server = createServer(serve);
    try {
      await new Promise<void>((listening, failed) => server.once("error", failed).listen(path, listening));
      await chmod(path, 0o600);
      server.on("error", () => undefined);
      return new StreamSocket(path, server, remove);
    } catch {
      server.close();
      remove();
      return undefined;
    }
  }

  /** For one near side that has proved by another way that it may work here. */
  admit(): StreamsPass {
    const session = randomBytes(32).toString("hex");
    this.sessions.add(session);
    return {
      offer: { socket: this.path, session },
      revoke: () => void this.sessions.delete(session),
    };
  }

  knows(session: unknown): boolean {
    return typeof session === "string" && this.sessions.has(session);
  }

  /** No more connections come; those that are there go on. */
  close(): void {
    this.sessions.clear();
    this.server.close();
    this.remove();
  }
}
