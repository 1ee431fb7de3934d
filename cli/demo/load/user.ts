import { messageOf } from "../../../lib/errors";
import { ExchangeError, KeptConnection, sendOnce, type Answer, type Exchange } from "./exchange";
import type { NameCache } from "./name-cache";
import type { FailureReason, UserKind } from "./options";

/** What became of one request. */
export type Outcome =
  | { readonly ok: true; readonly site: string; readonly latencyMs: number; readonly retried: boolean }
  | {
      readonly ok: false;
      readonly address: string | undefined;
      readonly reason: FailureReason;
      readonly detail: string;
      readonly retried: boolean;
    };

export interface UserOptions {
  readonly kind: UserKind;
  readonly names: NameCache;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly timeoutMs: number;
  readonly connections: number;
  readonly localAddress: string | undefined;
}

/**
 * One user. A `keep-alive` user has cookies and keeps up to `connections` connections open until the server closes them: only a new
 * connection looks at the name again. A `per-request` user looks at the name, connects and leaves, each time.
 */
export class User {
  private readonly cookies = new Map<string, string>();
  private connections: KeptConnection[] = [];
  private readonly waiting: (() => void)[] = [];
  /** The site that answered last. */
  lastSite: string | undefined;

  constructor(private readonly options: UserOptions) {}

  get kind(): UserKind {
    return this.options.kind;
  }

  /** Far ends of the connections that are open now. */
  openAddresses(): readonly string[] {
    return this.connections.filter((one) => one.open).map((one) => one.address);
  }

  /**
   * One request, from the click to the whole answer. Never throws.
   * @param clickedAt `performance.now()` of the moment it was due
   */
  async request(clickedAt: number): Promise<Outcome> {
    const attempt = { address: undefined as string | undefined, retried: false };
    try {
      const answer = await this.sendAndRetry(attempt, clickedAt + this.options.timeoutMs);
      if (answer.status >= 500) throw new ExchangeError("server-error", statusDetail(answer));
      if (answer.status < 200 || answer.status > 299) {
        throw new ExchangeError("unexpected-status", statusDetail(answer));
      }
      const site = siteOf(answer.body);
      if (site === undefined) throw new ExchangeError("unreadable", answer.body.slice(0, 120));
      this.lastSite = site;
      return { ok: true, site, latencyMs: performance.now() - clickedAt, retried: attempt.retried };
    } catch (error) {
      return {
        ok: false,
        address: attempt.address,
        reason: error instanceof ExchangeError ? error.reason : "no-name",
        detail: messageOf(error),
        retried: attempt.retried,
      };
    }
  }

  /** Leaves for good. */
  close(): void {
    for (const connection of this.connections) connection.close();
    this.connections = [];
  }

  private async sendAndRetry(
    attempt: { address: string | undefined; retried: boolean },
    deadline: number,
  ): Promise<Answer> {
    try {
      return await this.send(attempt, deadline, false);
    } catch (error) {
      if (!(error instanceof ExchangeError) || !error.mayRetry) throw error;
      // RFC 9110 9.2.2 and RFC 9112 9.3.1: a GET whose kept connection closed before any byte of the answer is sent once more.
      attempt.retried = true;
      return await this.send(attempt, deadline, true);
    }
  }

  private async send(
    attempt: { address: string | undefined },
    deadline: number,
    fresh: boolean,
  ): Promise<Answer> {
    if (this.kind === "per-request") {
      attempt.address = await this.options.names.resolve();
      return sendOnce(this.exchange(attempt.address, deadline));
    }
    const connection = await this.connection(deadline, fresh);
    attempt.address = connection.address;
    try {
      const answer = await connection.send(this.exchange(connection.address, deadline));
      this.keepCookies(answer.setCookies);
      return answer;
    } finally {
      if (!connection.open) this.leave(connection);
      this.waiting.shift()?.();
    }
  }

  /** An idle connection, the one used last first; else a new one; else, with all of them busy, the next that gets free. */
  private async connection(deadline: number, fresh: boolean): Promise<KeptConnection> {
    for (;;) {
      for (const gone of this.connections.filter((one) => !one.open && !one.busy)) this.leave(gone);
      const idle = fresh ? undefined : this.connections.findLast((one) => one.open && !one.busy);
      if (idle) {
        idle.busy = true;
        this.connections = [...this.connections.filter((one) => one !== idle), idle];
        return idle;
      }
      if (fresh || this.connections.length < this.options.connections) {
        const address = await this.options.names.resolve();
        // Others may have taken the last place while the name was looked up.
        if (!fresh && this.connections.length >= this.options.connections) continue;
        const made = new KeptConnection(address);
        made.busy = true;
        this.connections.push(made);
        return made;
      }
      await this.turn(deadline);
    }
  }

  private turn(deadline: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(
        () => {
          this.waiting.splice(this.waiting.indexOf(go), 1);
          reject(new ExchangeError("timed-out", `no connection free in ${this.options.timeoutMs} ms`));
        },
        Math.max(1, deadline - performance.now()),
      );
      this.waiting.push(go);
    });
  }

  private leave(connection: KeptConnection): void {
    connection.close();
    this.connections = this.connections.filter((one) => one !== connection);
  }

  private exchange(address: string, deadline: number): Exchange {
    const { port, path, host, localAddress } = this.options;
    return {
      address,
      port,
      path,
      host: port === 80 ? host : `${host}:${port}`,
      cookie: [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; "),
      localAddress,
      timeoutMs: deadline - performance.now(),
    };
  }

  /** One host, no paths, no sub-domains: all that a jar must know here are names, values and removals. */
  private keepCookies(setCookies: readonly string[]): void {
    for (const line of setCookies) {
      const [pair, ...attributes] = line.split(";").map((part) => part.trim());
      const cut = pair.indexOf("=");
      if (cut <= 0) continue;
      const name = pair.slice(0, cut);
      if (attributes.some(isExpired)) this.cookies.delete(name);
      else this.cookies.set(name, pair.slice(cut + 1));
    }
  }
}

function isExpired(attribute: string): boolean {
  const [key, value = ""] = attribute.split("=");
  if (key.toLowerCase() === "max-age") return Number(value) <= 0;
  return key.toLowerCase() === "expires" && Date.parse(value) <= Date.now();
}

function statusDetail(answer: Answer): string {
  return `${answer.status}: ${answer.body.slice(0, 120)}`;
}

function siteOf(body: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== "object" || parsed === null || !("site" in parsed)) return undefined;
    return typeof parsed.site === "string" ? parsed.site : undefined;
  } catch {
    return undefined;
  }
}
