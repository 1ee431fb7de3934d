import { Option, type Command } from "commander";
import { wholeNumber } from "../arguments";

/** What a command's action hands over to its module: options and arguments in one object. */
export type Attach = <T extends { json?: boolean }>(
  load: () => Promise<{ run: (options: T) => Promise<number> }>,
) => (options: T) => Promise<void>;

const TARGETS = `
Targets:
  site:NAME                             the agent of a site that this folder's project (or lab) knows
  https://host:port                     any agent, with --token-file or --token-env
  path/to/directory                     a directory of this machine
  ssh://[user@]host[:port]/path         a directory of another machine, as rsync does; Spillway must be installed there
  s3://bucket/prefix                    an S3 bucket, with the AWS SDK's credentials
  ebs:REGION                            an EBS snapshot in that region of AWS, with the AWS SDK's credentials (push and verify)`;

const repeated = (value: string, all: readonly string[] = []) => [...all, value];
const format = (about = "read the file as this") =>
  new Option("--format <format>", about).choices(["raw", "qcow2"]);
const EXACT = "bit by bit, free blocks too";
const JSON_OBJECT = "one JSON object";

/** `spillway image …`: bringing machine images to a place, without Terraform. */
export function addImageCommands(program: Command, attach: Attach): void {
  const image = program
    .command("image")
    .description("Index, compare, push, verify and pull machine images, without Terraform")
    .addHelpText("after", TARGETS);

  image
    .command("index")
    .description("Say what an image is: its digest, and what of it is in use")
    .argument("<file>", "raw or qcow2")
    .option("--exact", EXACT)
    .addOption(format())
    .option("--json", JSON_OBJECT)
    .action((file: string, options: object) =>
      attach(() => import("./image/index-file.js"))({ ...options, file }),
    );

  image
    .command("diff")
    .description("Say how many bytes a new image would send to a place that holds an old one")
    .argument("<old>", "raw or qcow2")
    .argument("<new>", "raw or qcow2")
    .option("--exact", EXACT)
    .addOption(format("read both files as this"))
    .option("--json", JSON_OBJECT)
    .action((oldFile: string, newFile: string, options: object) =>
      attach(() => import("./image/diff.js"))({ ...options, oldFile, newFile }),
    );

  withTarget(
    image
      .command("push")
      .description("Bring an image to a target; only what is missing there is sent")
      .argument("<file>", "raw or qcow2")
      .argument("<target>", "where to"),
  )
    .option("--exact", EXACT)
    .addOption(format())
    .option("--digest <digest>", "refuse the file unless it has this digest")
    .option("--cap <rate>", "at most so much of the link: 20Mbit, 2MB/s, off")
    .option(
      "--window <window>",
      "another cap by the clock: 'mon-fri 08:00-18:00 10Mbit'; may be repeated",
      repeated,
    )
    .option("--streams <n>", "so many connections (default: by the link's loss)", wholeNumber(1, 64))
    .option("--dry-run", "say what would be sent, and send nothing")
    .option(
      "--parent <snapshot>",
      "for ebs: only what differs from it is sent (default: the best of our own)",
    )
    .option("--encrypted", "for ebs: encrypt the snapshot (default: as the account has it)")
    .option("--kms-key <key>", "for ebs: ARN of the key that encrypts it")
    .option("--every <interval>", "keep the target current until Ctrl-C: 6h, 30m")
    .option("--json", "one JSON object (with --every: one a line)")
    .action((file: string, target: string, options: object) =>
      attach(() => import("./image/push.js"))({ ...options, file, target }),
    );

  withTarget(
    image
      .command("verify")
      .description("Read an image again, at a target or in a file, and compare it with its digest")
      .argument("<where>", "a target, or an image file")
      .argument("<digest>", "as `spillway image index` prints it"),
  )
    .option("--exact", `for a file: ${EXACT}`)
    .addOption(format())
    .option("--json", JSON_OBJECT)
    .action((where: string, digest: string, options: object) =>
      attach(() => import("./image/verify.js"))({ ...options, where, digest }),
    );

  image
    .command("pull")
    .description("Put an image of a bucket together, in a directory of images or as one raw file")
    .argument("<bucket>", "s3://bucket/prefix")
    .argument("<digest>", "as `spillway image push` printed it")
    .argument("<destination>", "a directory, or the file to write")
    .option("--endpoint-url <url>", "S3 service other than AWS (default: AWS_ENDPOINT_URL)")
    .option("--json", JSON_OBJECT)
    .action((bucket: string, digest: string, destination: string, options: object) =>
      attach(() => import("./image/pull.js"))({ ...options, bucket, digest, destination }),
    );

  image
    .command("cap")
    .description("Show or set what all transfers of this machine may take of the link; running ones follow")
    .argument("[rate]", "20Mbit, 2MB/s; `off` to pause; `none` for no limit")
    .option("--window <window>", "another cap by the clock: '22:00-06:00 none'; may be repeated", repeated)
    .option("--no-windows", "take all windows away")
    .option("--json", JSON_OBJECT)
    .action((rate: string | undefined, options: object) =>
      attach(() => import("./image/cap.js"))({ ...options, rate }),
    );

  image
    .command("serve", { hidden: true })
    .description("The far end of ssh:// targets; started by the near end")
    .argument("<directory>", "where the images are")
    .requiredOption("--stdio", "speak on standard input and output")
    .option("--peek", "only say what is there: make and change nothing")
    .option("--existing", "make no directory of images")
    .action((directory: string, options: object) =>
      attach(() => import("./image/serve.js"))({ ...options, directory }),
    );
}

function withTarget(command: Command): Command {
  return command
    .option("--dir <dir>", "for site:NAME: directory of cdktf.json or spillway.json", ".")
    .option("--token-file <file>", "for https://: file that holds the agent's token")
    .option("--token-env <name>", "for https://: environment variable that holds it")
    .option("--ca-file <file>", "for https://: PEM file of an authority of your own")
    .option("--rsh <command>", "for ssh://: remote shell with its options (default: ssh)")
    .option("--remote-command <command>", "for ssh://: what Spillway is called there", "spillway")
    .option(
      "--endpoint-url <url>",
      "for s3://: service other than AWS (default, also for ebs: AWS_ENDPOINT_URL)",
    )
    .addHelpText("after", TARGETS);
}
