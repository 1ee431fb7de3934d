import * as http from "node:http";

/** What came of the requests of a {@link startLoad}. */
export interface LoadResult {
  readonly answered: number;
  /** Anything but an answer 200. */
  readonly failed: readonly string[];
}

/** Sends requests without a pause, on kept-alive connections, until it is stopped. */
export function startLoad(
  address: string,
  port: number,
  users = 4,
  path = "/",
): { stop(): Promise<LoadResult> } {
  const failed: string[] = [];
  let answered = 0;
  let stopped = false;
  const agent = new http.Agent({ keepAlive: true, maxSockets: users });
  const one = () =>
    new Promise<void>((resolve) => {
      const request = http.get({ host: address, port, path, agent }, (response) => {
        response.resume();
        response.once("end", () => {
          if (response.statusCode === 200) answered++;
          else failed.push(`status ${response.statusCode}`);
          resolve();
        });
      });
      request.once("error", (error) => {
        failed.push(error.message);
        resolve();
      });
    });
  const user = async () => {
    while (!stopped) {
      await one();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  const all = Promise.all(Array.from({ length: users }, user));
  return {
    stop: async () => {
      stopped = true;
      await all;
      agent.destroy();
      return { answered, failed };
    },
  };
}
