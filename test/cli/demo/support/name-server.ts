import { createSocket, type Socket } from "node:dgram";
import { decode, encode } from "dns-packet";

/** A small authoritative server of one name, for the clients to ask: weights, TTL, and what it answered. */
export class TestNameServer {
  weights: Record<string, number>;
  ttlSeconds = 1;
  /** Leave so many of the next queries unanswered. */
  deaf = 0;
  readonly answered: string[] = [];
  private turn = 0;

  private constructor(
    private readonly socket: Socket,
    private readonly name: string,
    weights: Record<string, number>,
  ) {
    this.weights = weights;
    socket.on("message", (message, from) => {
      const query = decode(message);
      if (this.deaf > 0) return void this.deaf--;
      const known = query.questions?.[0].name === this.name;
      const address = known ? this.next() : undefined;
      if (address !== undefined) this.answered.push(address);
      const answer = encode({
        type: "response",
        id: query.id,
        flags: 0x400 | (address === undefined ? 3 : 0),
        questions: query.questions,
        answers:
          address === undefined ? [] : [{ type: "A", name: this.name, ttl: this.ttlSeconds, data: address }],
      });
      socket.send(answer, from.port, from.address);
    });
  }

  static async start(name: string, weights: Record<string, number>): Promise<TestNameServer> {
    const socket = createSocket("udp4");
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    return new TestNameServer(socket, name, weights);
  }

  get endpoint(): string {
    const { address, port } = this.socket.address();
    return `${address}:${port}`;
  }

  stop(): Promise<void> {
    return new Promise((resolve) => this.socket.close(() => resolve()));
  }

  /** Goes round in 100 steps that are prime to it, so that a weight of 30 is 30 of every 100 answers, well mixed. */
  private next(): string | undefined {
    let point = (this.turn++ * 37) % 100;
    for (const [address, weight] of Object.entries(this.weights)) {
      if (point < weight) return address;
      point -= weight;
    }
    return undefined;
  }
}
