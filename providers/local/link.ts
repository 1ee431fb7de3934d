import { createServer, connect, type AddressInfo, type Server, type Socket } from "node:net";

/** What a link is like. Both directions have the same rate and delay, each for itself. */
export interface LinkQuality {
  /** Bits per second of payload in each direction, shared by all connections. */
  readonly rateBitsPerSecond: number;
  /** One way, milliseconds. */
  readonly delayMs: number;
  /** An outage: nothing passes, nothing is closed. @default false */
  readonly cut?: boolean;
}

export interface LinkOptions extends LinkQuality {
  /** Port 0 takes any. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly target: { readonly host: string; readonly port: number };
}

/** A running link. */
export interface Link {
  readonly port: number;
  /** Bytes that have passed so far, both ways. */
  readonly bytes: { readonly toTarget: number; readonly fromTarget: number };
  /** Changes what is given; holds for what is under way too. */
  set(quality: Partial<LinkQuality>): void;
  /** Ends it and its connections. */
  close(): Promise<void>;
}

// Small enough that ten connections share a slow link smoothly, large enough not to cost a timer per packet.
const CHUNK_BYTES = 16 * 1024;
/** How far ahead of the link's rate bytes may be taken from a sender: a router's buffer. */
const MAX_BACKLOG_MS = 50;

/**
 * A WAN for the lab, in user space: a TCP relay with the rate and the delay of a long line. It is there because a loopback
 * interface is neither slow nor far, and to shape one takes root.
 */
export async function startLink(options: LinkOptions): Promise<Link> {
  const link = new Relay(options);
  await link.listen();
  return link;
}

class Relay implements Link {
  readonly bytes = { toTarget: 0, fromTarget: 0 };
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private readonly busyUntil = { toTarget: 0, fromTarget: 0 };
  private readonly restored = new Set<() => void>();
  private quality: Required<LinkQuality>;

  constructor(private readonly options: LinkOptions) {
    const { rateBitsPerSecond, delayMs, cut = false } = options;
    this.quality = { rateBitsPerSecond, delayMs, cut };
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => this.join(near));
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once("error", reject);
      this.server.listen(this.options.listen.port, this.options.listen.host, () => {
        this.server.removeListener("error", reject);
        resolve();
      });
    });
  }

  set(quality: Partial<LinkQuality>): void {
    this.quality = { ...this.quality, ...quality };
    if (!this.quality.cut) this.wake();
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    this.quality = { ...this.quality, cut: false };
    this.wake();
    await closed;
  }

  private join(near: Socket): void {
    const far = connect({ ...this.options.target, allowHalfOpen: true, noDelay: true });
    for (const socket of [near, far]) {
      this.sockets.add(socket);
      socket.on("close", () => this.sockets.delete(socket));
      // A broken connection breaks its other half, in `carry`; here only so that it is nobody's uncaught error.
      socket.on("error", () => undefined);
    }
    this.carry(near, far, "toTarget");
    this.carry(far, near, "fromTarget");
  }

  /** One direction of one connection: taken from the sender at the link's rate, handed over in order after the delay. */
  private carry(from: Socket, to: Socket, direction: "toTarget" | "fromTarget"): void {
    let handed = Promise.resolve();
    const handOver = (at: number, hand: () => void) => {
      handed = handed.then(async () => {
        await pause(at - performance.now());
        await this.up();
        if (!to.destroyed) hand();
        if (to.writableNeedDrain) await drained(to);
      });
    };
    const take = async (data: Buffer) => {
      for (let offset = 0; offset < data.length; offset += CHUNK_BYTES) {
        const chunk = data.subarray(offset, offset + CHUNK_BYTES);
        const leavesAt = await this.reserve(direction, chunk.length);
        handOver(leavesAt + this.quality.delayMs, () => {
          this.bytes[direction] += chunk.length;
          to.write(chunk);
        });
      }
      if (to.writableNeedDrain) await handed;
    };
    // A paused socket still tells of its end, so the end waits for what was taken before it.
    let taken = Promise.resolve();
    from.on("data", (data: Buffer) => {
      from.pause();
      taken = take(data).then(() => void from.resume());
    });
    from.on("end", () => {
      void taken.then(() => handOver(performance.now() + this.quality.delayMs, () => to.end()));
    });
    from.on("error", () => to.destroy());
  }

  /** Waits for its turn on the line. @returns when the last of the bytes has left */
  private async reserve(direction: "toTarget" | "fromTarget", bytes: number): Promise<number> {
    await this.up();
    const start = Math.max(performance.now(), this.busyUntil[direction]);
    const leavesAt = start + (bytes * 8_000) / this.quality.rateBitsPerSecond;
    this.busyUntil[direction] = leavesAt;
    await pause(leavesAt - performance.now() - MAX_BACKLOG_MS);
    return leavesAt;
  }

  /** Resolves when there is no outage. */
  private async up(): Promise<void> {
    while (this.quality.cut) await new Promise<void>((resolve) => this.restored.add(resolve));
  }

  private wake(): void {
    for (const resolve of this.restored) resolve();
    this.restored.clear();
  }
}

async function pause(ms: number): Promise<void> {
  if (ms >= 1) await new Promise((resolve) => setTimeout(resolve, ms));
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.removeListener("drain", done);
      socket.removeListener("close", done);
      resolve();
    };
    socket.on("drain", done);
    socket.on("close", done);
  });
}
