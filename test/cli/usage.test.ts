import { readFileSync } from "node:fs";
import { join } from "node:path";
import { onlyJson, refusal, spillway } from "./support/spillway";

const COMMANDS = ["lab", "demo", "agent", "run", "review", "status", "doctor", "init"];
const { version } = JSON.parse(readFileSync(join(__dirname, "../../package.json"), "utf8")) as {
  version: string;
};

test("--help names every command and every exit code", async () => {
  const { code, stdout, stderr } = await spillway(["--help"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command} `, "m"));
  expect(stdout).toMatch(/Exit codes: 0 .*1 .*2 .*130 /);
});

test.each(COMMANDS)("%s --help says what it is and what it takes, --json among it", async (command) => {
  const { code, stdout, stderr } = await spillway([command, "--help"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(new RegExp(`^Usage: spillway ${command} `));
  expect(stdout).toMatch(/^ {2}--json {2,}\w/m);
  // No option without a word about it.
  expect(stdout.match(/^ {2}-.*$/gm)?.filter((line) => !/ {2,}\S.*\w/.test(line.slice(2)))).toEqual([]);
});

test("`help COMMAND` is --help, and --version is the package's", async () => {
  const [help, version_] = await Promise.all([spillway(["help", "lab"]), spillway(["--version"])]);
  expect(help.code).toBe(0);
  expect(help.stdout).toMatch(/^Usage: spillway lab /);
  expect(version_).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});

describe("wrong usage ends with 2, says what is wrong, and does nothing", () => {
  test.each<[string, string[], RegExp]>([
    ["an unknown command", ["burst"], /unknown command 'burst'/],
    ["an unknown option", ["lab", "--colour"], /unknown option '--colour'/],
    [
      "options that are missing",
      ["agent", "--site", "a"],
      /required options '--state <dir>', '--token-file <file>' not specified/,
    ],
    ["an option without its value", ["doctor", "--dir"], /option '--dir <dir>' argument missing/],
    ["more arguments than there are", ["init", "one", "two"], /too many arguments/],
    ["no number", ["lab", "--port", "http"], /'--port <n>' argument 'http'.* whole number from 1 to 65535/],
    ["a number out of range", ["lab", "--port", "70000"], /'70000'.* whole number from 1 to 65535/],
    ["a number with a sign", ["lab", "--link-delay-ms=-1"], /'-1'.* whole number from 0/],
    ["a link that carries nothing", ["lab", "--link-mbps", "0"], /'0'.* whole number from 1/],
    ["an image of no size", ["demo", "--image-mb", "0"], /'0'.* whole number from 1/],
    ["a demo that is too long", ["demo", "--seconds", "3600"], /'3600'.* whole number from 30 to 90/],
  ])("%s", async (_, args, problem) => {
    const { code, stdout, stderr } = await spillway(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(problem);
    expect(stderr).toContain("--help");
  });

  test("with --json it is one object on stdout as well", async () => {
    const ended = await spillway(["lab", "--json", "--port", "http"]);
    expect(ended.code).toBe(2);
    expect(onlyJson(ended)).toEqual(
      refusal(expect.stringContaining("'http'"), "command line", expect.stringContaining("--help")),
    );
  });

  test("no command at all shows the help, as an error", async () => {
    const { code, stdout, stderr } = await spillway([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^Usage: spillway /);
  });
});
