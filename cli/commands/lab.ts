import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { buildShopImage } from "../demo/image";
import { clearGround, endLab, startLab } from "../lab/lab";
import { EXIT, interrupted, interruptSignal } from "../output";

export interface LabCommandOptions {
  readonly dir: string;
  readonly linkMbps: number;
  readonly linkDelayMs: number;
  readonly port?: number;
  readonly down?: boolean;
  readonly json?: boolean;
}

/** Runs a lab until Ctrl-C. */
export async function run(options: LabCommandOptions): Promise<number> {
  const dir = resolve(options.dir);
  const say = (text: string) => (options.json ? process.stderr : process.stdout).write(`${text}\n`);
  if (options.down) {
    const ended = await endLab(dir);
    if (options.json) process.stdout.write(`${JSON.stringify({ ok: true, ended })}\n`);
    say(ended ? `ended what the lab in ${dir} had left running` : `nothing of a lab runs in ${dir}`);
    return EXIT.ok;
  }
  const signal = interruptSignal();
  await clearGround({ dir, port: options.port });
  const imagePath = join(dir, "shop.img");
  if (!existsSync(imagePath)) {
    say("building the shop's image");
    await buildShopImage({ path: imagePath, version: "v1" });
  }
  const lab = await startLab({
    dir,
    linkMbps: options.linkMbps,
    linkDelayMs: options.linkDelayMs,
    port: options.port,
    imagePath,
    onNotice: say,
  });
  const { sites, nameServer, port } = lab.info;
  if (options.json) process.stdout.write(`${JSON.stringify({ ok: true, ...lab.info })}\n`);
  say(`on premises  agent ${sites.onprem.endpoint}   serves at ${sites.onprem.address}:${port}`);
  say(`cloud        agent ${sites.cloud.endpoint}   serves at ${sites.cloud.address}:${port}`);
  say(`link         ${options.linkMbps} Mbit/s, ${options.linkDelayMs} ms each way`);
  say(`name server  ${nameServer.endpoint} (UDP and TCP)`);
  say(
    `told in      ${relative(process.cwd(), join(dir, "lab.json")) || join(dir, "lab.json")}; Ctrl-C ends it all`,
  );
  await interrupted(signal);
  await lab.close();
  say("the lab is down");
  return EXIT.ok;
}
