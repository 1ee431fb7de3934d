#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import { wholeNumber, wholeNumberOrAll } from "./arguments";
import { addImageCommands } from "./commands/image";
import type { ReviewOptions } from "./commands/review";
import { EXIT, outliveReaders, printError, printUsageError } from "./output";
import { VERSION } from "./version";

/**
 * Each command's module is loaded only when it runs, so that `spillway --help` and the agent start without what the others need.
 * Commands return an exit code.
 */
type Run<T> = (options: T) => Promise<number>;

const program = new Command("spillway")
  .description("Cloud bursting as code: out with one terraform apply, home again with one.")
  .version(VERSION)
  .showHelpAfterError("(run with --help to see what it takes)")
  // Before the commands are made: each takes them over from here. An option belongs to the command before it.
  .exitOverride()
  .enablePositionalOptions()
  .addHelpText(
    "after",
    `
Exit codes: ${EXIT.ok} done, ${EXIT.failed} failed (the error says where, what and how to mend it), ${EXIT.usage} wrong usage, ${EXIT.interrupted} stopped by Ctrl-C
before it was done. (lab, agent, run and status --watch run until Ctrl-C: that is their good end.)
Every command takes --json: one JSON object on stdout, messages on stderr. (run and status --watch go on: one object a line.)`,
  );

function action<T extends { json?: boolean }>(load: () => Promise<{ run: Run<T> }>) {
  return async (options: T) => {
    try {
      process.exitCode = await (await load()).run(options);
    } catch (error) {
      process.exitCode = printError(error, options.json === true);
    }
  };
}

program
  .command("lab")
  .description("Run two sites, a WAN link and a name server on this machine, unprivileged, until Ctrl-C")
  .option("--dir <dir>", "where the lab keeps its state", ".spillway")
  .option("--link-mbps <n>", "rate of the link between the sites, Mbit/s", wholeNumber(1, 100_000), 100)
  .option("--link-delay-ms <n>", "one-way delay of that link", wholeNumber(0, 10_000), 10)
  .option(
    "--port <n>",
    "port at which both sites serve the application (default: a free one)",
    wholeNumber(1, 65_535),
  )
  .option("--down", "end what a lab left running, and go")
  .option("--json", "one JSON object when the lab is up")
  .action(action(() => import("./commands/lab.js")));

program
  .command("demo")
  .description("Watch one declared burst happen: out and home again, by terraform apply")
  .option("--seconds <n>", "length of the replayed demand", wholeNumber(30, 90))
  .option("--report <file>", "where the report goes", "spillway-report.html")
  .option("--image-mb <n>", "size of the machine image", wholeNumber(1, 1_000), 48)
  .option("--keep", "keep the lab's directory, with its logs")
  .option("--json", "one JSON object, last")
  .action(action(() => import("./commands/demo.js")));

const agent = program
  .command("agent")
  .description("Run a site's agent: members, local balancer, health, sessions, images")
  .option("--config <file>", "what it runs on (HAProxy, PowerDNS, ...), as JSON; options win over it")
  .option("--site <name>", "the site's name, as the stack calls it")
  .option("--state <dir>", "where it keeps its state; survives restarts")
  .option("--token-file <file>", "file that holds the bearer token (at least 16 characters)")
  .option(
    "--listen <host:port>",
    "address of its API; TLS is required off loopback (default: 127.0.0.1:7501)",
  )
  .option("--tls-cert <file>", "certificate (PEM)")
  .option("--tls-key <file>", "its private key (PEM)")
  .option("--name-server <host:port>", "answer for the global name here, UDP and TCP")
  .option(
    "--retain-images <n|all>",
    "complete images that stay though no pool uses them (default: 5)",
    wholeNumberOrAll(2, 1_000_000),
  )
  .option("--json", "one JSON object when it answers, its log as JSON lines on stderr")
  .action(action(() => import("./commands/agent.js")));

agent
  .command("stanza")
  .description("Print what a HAProxy of your own needs for a pool, as declared at the running agent")
  .requiredOption("--config <file>", "the agent's configuration file")
  .requiredOption("--pool <name>", "the pool")
  .option("--endpoint <url>", "the agent's API (default: what the file says)")
  .option("--json", "one JSON object")
  .action(action(() => import("./commands/agent-stanza.js")));

program
  .command("run")
  .description("Run the hook: watch demand, flip the parameters, apply")
  .option("--dir <dir>", "directory of cdktf.json or spillway.json", ".")
  .option("--burst <name>", "which burst (default: the only one)")
  .option("--propose", "commit each flip on a branch for a pull request, apply nothing")
  .option(
    "--metrics <host:port>",
    "serve the hook's own metrics to Prometheus at /metrics there; no token, read only",
  )
  .option("--prices <file>", "prices of your own, as JSON, for what is said of a plan's cost")
  .option("--json", "events as JSON lines")
  .action(action(() => import("./commands/run.js")));

program
  .command("review")
  .description("Say what a Terraform plan changes, and what that costs")
  .argument("[plan]", "what `terraform show -json PLANFILE` printed: a file, or - for standard input", "-")
  .option("--prices <file>", "prices of your own, as JSON; they win over the built-in ones, entry by entry")
  .option("--region <region>", "region of resources of which the plan does not tell it")
  .option("--no-cost", "say nothing of cost")
  .option("--detailed-exitcode", "end with 2 when the plan changes anything, as terraform plan does")
  .option("--json", "one JSON object")
  .action((plan: string, options: Omit<ReviewOptions, "plan">) =>
    action<ReviewOptions>(() => import("./commands/review.js"))({ ...options, plan }),
  );

program
  .command("status")
  .description("What each site, pool, record and the hook is doing now, and what it waits for")
  .option("--dir <dir>", "directory of cdktf.json or spillway.json", ".")
  .option("--watch", "again every second until Ctrl-C")
  .option("--json", "one JSON object")
  .action(action(() => import("./commands/status.js")));

program
  .command("doctor")
  .description("Say what is missing here, and how to get it")
  .option("--dir <dir>", "directory of cdktf.json or spillway.json", ".")
  .option("--agent-config <file>", "look at the parts of an agent's configuration file, and at nothing else")
  .option("--haproxy-config <file>", "with it: also at the configuration of a HAProxy of your own")
  .option("--json", "one JSON object")
  .action(action(() => import("./commands/doctor.js")));

program
  .command("init")
  .description("Scaffold a project that synthesises and plans at once")
  .argument("[name]", "the burst's name", "shop")
  .option("--dir <dir>", "where (default: a folder of that name)")
  .option("--json", "one JSON object")
  .action((name: string, options: { dir?: string; json?: boolean }) =>
    action<{ name: string; dir?: string; json?: boolean }>(() => import("./commands/init.js"))({
      ...options,
      name,
    }),
  );

addImageCommands(program, action);

outliveReaders();
const asJson = process.argv.includes("--json");
program.parseAsync().catch((error: unknown) => {
  if (!(error instanceof CommanderError)) process.exitCode = printError(error, asJson);
  else process.exitCode = error.exitCode === 0 ? EXIT.ok : printUsageError(error.message, asJson);
});
