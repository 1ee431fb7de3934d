import type { Socket } from "node:net";
import type { KeptConnection } from "./quiesce";
import type { User } from "./sessions";

/** Something served on a client's connection: a request, or a tunnel. */
export interface Served {
  /** The client is gone. */
  closed(): void;
  isStalledByClient(): boolean;
}

/** One client's connection to the balancer. */
export class ClientConnection implements KeptConnection {
  readonly openedAt = Date.now();
  readonly remoteAddress: string;
  /** Set by the first request. */
  cohortKey: string;
  /** It has sent a request that was no probe: a user is behind it. */
  counted = false;
  user: User | undefined;
  /** What is being served on it (a client may pipeline). */
  readonly exchanges = new Set<Served>();
  /** `performance.now()` of its last answer, or of its opening. */
  idleSince = performance.now();

  constructor(readonly socket: Socket) {
    // An IPv4 client of an IPv6 listener.
    this.remoteAddress = (socket.remoteAddress ?? "unknown").replace(/^::ffff:/, "");
    this.cohortKey = `${this.remoteAddress}:${socket.remotePort ?? 0}`;
  }

  /** The address it came to, as a `Host` header has it. */
  get localHost(): string {
    const { localAddress = "localhost", localPort } = this.socket;
    return `${localAddress.includes(":") ? `[${localAddress}]` : localAddress}:${localPort ?? 80}`;
  }

  get busy(): boolean {
    return this.exchanges.size > 0;
  }
}
