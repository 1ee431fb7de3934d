import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { messageOf } from "../../../lib/errors";
import { buildShopImage } from "../../../cli/demo/image";
import { endLab } from "./abandoned";
import { PLACES } from "./addresses";
import { handleOf, layOut, openLab } from "./lay-out";
import type { Line, Place } from "./options";
import { PATH } from "./requirements";
import { isThere } from "./tear-down";

interface UpOptions {
  readonly dir: string;
  readonly rate: string;
  readonly delay: number;
  readonly loss: number;
  readonly prometheus: boolean;
}

/** What the lab runs at, of users' and of the stack's interest. */
const IMAGE = "images/shop.tar";

async function up({ dir, rate, delay, loss, prometheus }: UpOptions): Promise<void> {
  if (!existsSync(IMAGE)) {
    console.log(`building the shop's image, ${IMAGE}`);
    await buildShopImage({ path: resolve(IMAGE), version: "v1" });
  }
  const lab = await layOut({
    dir,
    wan: { rate, delayMs: delay, lossPercent: loss },
    prometheus,
    endWithProcess: false,
    onStep: (line) => console.log(line),
  });
  const file = relative(process.cwd(), join(lab.dir, "lab.json"));
  console.log(`laid out; told in ${file}; \`down\` ends it`);
  status({ dir });
}

function down({ dir }: { readonly dir: string }): void {
  console.log(endLab(dir) ? `the lab in ${dir} is gone` : `nothing is laid out in ${dir}`);
}

function status({ dir }: { readonly dir: string }): void {
  const { now: lab } = openLab(dir);
  const rows: [string, string][] = PLACES.map((place) => [place, lab.namespaces[place]]);
  for (const { name, endpoint, address } of Object.values(lab.sites))
    rows.push([`agent ${name}`, `${endpoint}   serves at ${address}:${lab.port}`]);
  rows.push(["PowerDNS", `${lab.nameServer.host}   zone ${lab.zone}   API ${lab.powerdns.api}`]);
  if (lab.prometheus) rows.push(["Prometheus", lab.prometheus.endpoint]);
  for (const [name, handle] of Object.entries(lab.processes))
    rows.push([name, isThere(handle) ? `runs as process ${handle.pid}` : "has ended"]);
  rows.push(["cut", lab.cut.join(", ") || "nothing"]);
  for (const [name, text] of rows) console.log(`${name.padEnd(20)} ${text}`);
  if (Object.values(lab.processes).some((handle) => !isThere(handle))) process.exitCode = 1;
}

function exec(place: Place, command: readonly string[], { dir }: { readonly dir: string }): void {
  const { now: lab } = openLab(dir);
  const done = spawnSync("ip", ["netns", "exec", lab.namespaces[place], ...command], {
    stdio: "inherit",
    env: { ...process.env, PATH },
  });
  process.exitCode = done.status ?? 1;
}

function setCut(line: Line, isCut: boolean, { dir }: { readonly dir: string }): void {
  const lab = handleOf(openLab(dir));
  if (isCut) lab.cut(line);
  else lab.heal(line);
}

function oneOf<T extends string>(names: readonly T[]): (text: string) => T {
  return (text) => {
    const found = names.find((name) => name === text);
    if (found === undefined) throw new InvalidArgumentError(`It must be one of ${names.join(", ")}.`);
    return found;
  };
}

function atLeastZero(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0)) throw new InvalidArgumentError("It must be a number from 0 on.");
  return value;
}

const LINES: readonly Line[] = ["wan", "clients", "onprem", "cloud", "gslb"];
const dir = () => new Option("--dir <path>", "the lab's directory").default(".spillway/datacenter");
const program = new Command("lab").description(
  "Two sites with HAProxy, PowerDNS and Prometheus, in network namespaces, over an emulated WAN. Needs root.",
);
program.enablePositionalOptions();
program
  .command("up")
  .description("lay it out; it stays until `down`")
  .addOption(dir())
  .option("--rate <rate>", "of the WAN, each way: bits per second with k, M or G", "100M")
  .option("--delay <ms>", "of the WAN, one way", atLeastZero, 25)
  .option("--loss <percent>", "of the WAN", atLeastZero, 0)
  .option("--no-prometheus", "without Prometheus and node exporters")
  .action(up);
program.command("down").description("end all of it, also after a crash").addOption(dir()).action(down);
program.command("status").description("what it consists of, and what of it runs").addOption(dir()).action(status);
program
  .command("exec")
  .description("run a command at a place")
  .argument("<place>", PLACES.join(", "), oneOf(PLACES))
  .argument("<command...>")
  .addOption(dir())
  .passThroughOptions()
  .action(exec);
for (const [verb, isCut] of [
  ["cut", true],
  ["heal", false],
] as const)
  program
    .command(verb)
    .description(isCut ? "let nothing pass any more" : "let it pass again")
    .argument("<line>", LINES.join(", "), oneOf(LINES))
    .addOption(dir())
    .action((line: Line, options: { dir: string }) => setCut(line, isCut, options));

program.parseAsync().catch((error: unknown) => {
  console.error(messageOf(error));
  process.exitCode = 1;
});
