import { spawn, spawnSync } from "node:child_process";
import { sleep } from "../../../../lib/wait";

const IS_THERE = spawnSync("moto_server", ["--help"]).status === 0;

/** Where moto (an S3 service for tests) is not installed these tests are left out, but not in CI. */
export const describeWithMoto = IS_THERE || process.env.CI ? describe : describe.skip;
if (!IS_THERE && !process.env.CI)
  process.stderr.write("no moto_server here: its tests are left out (pip install 'moto[server]')\n");

/** An S3 service of its own, in memory. */
export interface Moto {
  readonly endpoint: string;
  /** What an S3 client finds its way and its credentials by. */
  readonly environment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export async function startMoto(): Promise<Moto> {
  if (!IS_THERE) throw new Error("moto_server is missing: pip install 'moto[server]'");
  const child = spawn("moto_server", ["-H", "127.0.0.1", "-p", "0"], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (said += text));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  let endpoint: string | undefined;
  for (let i = 0; endpoint === undefined; i++) {
    if (i > 800 || child.exitCode !== null) throw new Error(`moto_server does not start:\n${said}`);
    await sleep(25);
    endpoint = /Running on (http:\/\/127\.0\.0\.1:\d+)/.exec(said)?.[1];
  }
  return {
    endpoint,
    environment: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_ACCESS_KEY_ID: "AKIAEXAMPLE",
      AWS_SECRET_ACCESS_KEY: SECRET,
      AWS_REGION: "us-east-1",
      AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true",
      AWS_EC2_METADATA_DISABLED: "true",
    },
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** Must never be seen anywhere. */
export const SECRET = "a-secret-that-nobody-prints";
