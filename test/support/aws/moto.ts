import { spawn } from "node:child_process";
import { sleep } from "../../../lib/wait";
import { describeWith, has } from "../daemons";

/** Must never be seen anywhere. */
export const SECRET = "a-secret-that-nobody-prints";
export const ACCESS_KEY_ID = "AKIAEXAMPLE";
export const REGION = "us-east-1";

/** An AWS of its own, in memory. */
export interface Moto {
  readonly endpoint: string;
  /** What AWS's SDKs and its Terraform provider find their way and their credentials by. */
  readonly environment: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** Tests that need an AWS API, and Terraform's provider for it not at all. */
export function describeWithMoto(title: string, body: () => void): void {
  describeWith(["moto_server"], title, body);
}

/** @param options.publicImages Does it hold the thousand images of others that it comes with? They make every listing slow. @default true */
export async function startMoto({ publicImages = true } = {}): Promise<Moto> {
  if (!has("moto_server")) throw new Error("moto_server is missing: pip install 'moto[server]'");
  const child = spawn("moto_server", ["-H", "127.0.0.1", "-p", "0"], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...(publicImages ? {} : { MOTO_EC2_LOAD_DEFAULT_AMIS: "false" }) },
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-20_000)));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  let endpoint: string | undefined;
  for (let i = 0; endpoint === undefined; i++) {
    if (i > 1200 || child.exitCode !== null) {
      child.kill("SIGKILL");
      throw new Error(`moto_server does not start:\n${said}`);
    }
    await sleep(25);
    endpoint = /Running on (http:\/\/127\.0\.0\.1:\d+)/.exec(said)?.[1];
  }
  return {
    endpoint,
    environment: environmentOf(endpoint),
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** How a client is told of an AWS at `endpoint`. */
export function environmentOf(endpoint: string): Readonly<Record<string, string>> {
  return {
    AWS_ENDPOINT_URL: endpoint,
    AWS_ACCESS_KEY_ID: ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY: SECRET,
    AWS_REGION: REGION,
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: "true",
    AWS_EC2_METADATA_DISABLED: "true",
  };
}
