import { request as httpRequest, Agent } from "node:http";
import { SiteDirectory } from "../../../../lib/site/client";
import type { PoolSpec } from "../../../../lib/site/api";
import type { Progress, StepContext } from "../../../../lib/wait";
import type { TestSite } from "../../../support/site";

/** A context that remembers what was said, and can be stopped. */
export interface Listener extends StepContext {
  readonly said: Progress[];
  stop(): void;
}

export function listener(): Listener {
  const controller = new AbortController();
  const said: Progress[] = [];
  return {
    signal: controller.signal,
    progress: (progress) => void said.push(progress),
    said,
    stop: () => controller.abort(),
  };
}

export function directoryOf(...sites: TestSite[]): SiteDirectory {
  return new SiteDirectory(
    Object.fromEntries(sites.map(({ site, endpoint, tokenFile }) => [site, { endpoint, tokenFile }])),
    { retryBudgetMs: 10_000 },
  );
}

/** Waits until something was said that matches. */
export async function heard(listener: Listener, what: RegExp, deadlineMs = 10_000): Promise<void> {
  const until = Date.now() + deadlineMs;
  while (!listener.said.some(({ message }) => what.test(message))) {
    if (Date.now() > until) {
      throw new Error(
        `never heard ${what}, only:\n${listener.said.map(({ message }) => message).join("\n")}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export async function thrownBy(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

/** One user: sends requests over one kept connection. */
export class User {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(private readonly listen: PoolSpec["listen"]) {}

  /** @returns the status, and whether the balancer asked to leave */
  get(path = "/"): Promise<{ status: number; askedToLeave: boolean }> {
    return new Promise((resolve, reject) => {
      const { address: host, port } = this.listen;
      const request = httpRequest({ host, port, path, agent: this.agent }, (response) => {
        response.resume();
        response.once("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            askedToLeave: response.headers.connection === "close",
          }),
        );
      });
      request.once("error", (error: NodeJS.ErrnoException) => {
        // A kept connection may be closed just when it is used again; every browser then asks once more.
        if (request.reusedSocket && error.code === "ECONNRESET") this.get(path).then(resolve, reject);
        else reject(error);
      });
      request.end();
    });
  }

  leave(): void {
    this.agent.destroy();
  }
}
