import { spawn, type ChildProcess } from "node:child_process";
import { accessSync, constants, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { delimiter, join } from "node:path";
import type { Sample } from "../../../../lib/observers";
import { PrometheusObserver } from "../../../../providers/prometheus";
import { freePort, temporaryFolder } from "../../local/support/balancer";

function isInstalled(program: string): boolean {
  return [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/bin"].some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Tests that run real daemons: in CI always, at a desk where they are installed; otherwise their title says what is missing. */
export function describeWith(programs: readonly string[], title: string, body: () => void): void {
  const missing = process.env.CI ? [] : programs.filter((program) => !isInstalled(program));
  if (missing.length === 0) describe(title, body);
  else describe.skip(`${title} (not run: ${missing.join(", ")} not found; install it)`, body);
}

/** Something that Prometheus scrapes, with figures that a test sets. */
export interface TestExporter {
  readonly target: string;
  /** Lines such as `users{site="cloud"} 3`; none at all where a metric has gone. */
  set(...lines: readonly string[]): void;
  end(): Promise<void>;
}

export async function startExporter(...lines: readonly string[]): Promise<TestExporter> {
  let text = lines;
  const server = createServer((_request, response) => {
    response.setHeader("content-type", "text/plain; version=0.0.4");
    response.end(text.map((line) => `${line}\n`).join(""));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    target: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    set: (...next) => (text = next),
    end: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A Prometheus of its own for one test file. */
export interface TestPrometheus {
  readonly endpoint: string;
  readonly observer: PrometheusObserver;
  /** Asks until it is so, for 10 s at most. */
  until(query: string, what: (samples: readonly Sample[]) => boolean): Promise<readonly Sample[]>;
  end(): Promise<void>;
}

export interface ScrapeJob {
  readonly job: string;
  readonly target: string;
  readonly path?: string;
  readonly tokenFile?: string;
}

export async function startPrometheus(
  jobs: readonly ScrapeJob[],
  webConfig?: Readonly<Record<string, unknown>>,
): Promise<TestPrometheus> {
  const folder = temporaryFolder();
  const port = await freePort();
  writeFileSync(
    join(folder, "prometheus.json"),
    JSON.stringify({
      global: { scrape_interval: "200ms", scrape_timeout: "200ms" },
      scrape_configs: jobs.map(({ job, target, path = "/metrics", tokenFile }) => ({
        job_name: job,
        metrics_path: path,
        static_configs: [{ targets: [target] }],
        ...(tokenFile === undefined ? {} : { authorization: { credentials_file: tokenFile } }),
      })),
    }),
  );
  const flags = [
    `--config.file=${join(folder, "prometheus.json")}`,
    `--storage.tsdb.path=${join(folder, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  if (webConfig) {
    writeFileSync(join(folder, "web.json"), JSON.stringify(webConfig));
    flags.push(`--web.config.file=${join(folder, "web.json")}`);
  }
  const child: ChildProcess = spawn("prometheus", flags, { stdio: "ignore" });
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const endpoint = `http://127.0.0.1:${port}`;
  const observer = new PrometheusObserver({ endpoint });
  const end = async () => {
    child.kill("SIGKILL");
    await gone;
    rmSync(folder, { recursive: true, force: true });
  };
  const deadline = Date.now() + 10_000;
  while (
    !(await fetch(`${endpoint}/-/ready`).then(
      ({ status }) => status === 200 || status === 401,
      () => false,
    ))
  ) {
    if (Date.now() > deadline || child.exitCode !== null) {
      await end();
      throw new Error("Prometheus did not start");
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    endpoint,
    observer,
    end,
    async until(query, what) {
      const last = Date.now() + 10_000;
      for (;;) {
        const samples = await observer.ask(query);
        if (what(samples)) return samples;
        if (Date.now() > last) throw new Error(`${query} never came so: ${JSON.stringify(samples)}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
  };
}
