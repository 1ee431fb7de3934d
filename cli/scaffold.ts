import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { variableOf } from "../lib/constructs/variable-name";
import { quietParameters, renderParameters } from "../lib/desired";
import { SpillwayError, throwProblems } from "../lib/errors";

export interface ScaffoldOptions {
  /** Where the project goes. May exist, but none of the project's files may. */
  readonly dir: string;
  /** The burst's name: it becomes a package, a stack, a pool and a host name. */
  readonly name: string;
  /** How the project depends on this package: `^0.1.0`, or `file:` and a folder. */
  readonly spillway: string;
}

/** Templates by where they go in the project. Their names end in .txt so that no tool takes them for its own. */
const FILES: Readonly<Record<string, string>> = {
  "package.json": "package.json.txt",
  "tsconfig.json": "tsconfig.json.txt",
  "cdktf.json": "cdktf.json.txt",
  "main.ts": "main.ts.txt",
  "sites.ts": "sites.ts.txt",
  "terraform.rc": "terraform.rc.txt",
  "terraform.sh": "terraform.sh.txt",
  "app/member.json": "member.json.txt",
  "app/server.js": "server.js.txt",
  ".gitignore": "gitignore.txt",
  ".npmrc": "npmrc.txt",
  "README.md": "README.md.txt",
};

const NAME = /^[a-z](?:[a-z0-9-]{0,33}[a-z0-9])?$/;

/** What the project depends on: npm refuses a package that depends on its own name. */
const TAKEN = ["spillway", "cdktf", "constructs", "typescript", "ts-node"];

/**
 * Writes a new project that synthesises and plans at once.
 * @returns the files it wrote, relative to `dir`, sorted
 * @throws SpillwayError for a name that will not do, a folder that cannot be written, or a file that is there already; nothing is
 * written then
 */
export function scaffold(options: ScaffoldOptions): string[] {
  const dir = resolve(options.dir);
  checkName(options.name);
  const values = { name: options.name, spillway: options.spillway };
  const texts = new Map(Object.entries(FILES).map(([file, template]) => [file, fill(template, values)]));
  texts.set(`desired/${options.name}.tfvars.json`, parameters(options.name));
  const files = [...texts.keys()].sort();
  refuseToOverwrite(dir, files);
  try {
    for (const [file, text] of texts) {
      const path = join(dir, file);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text, { flag: "wx" });
    }
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    throw new SpillwayError(
      {
        place: path ?? dir,
        problem: `the project cannot be written (${code ?? String(error)})`,
        mend: "Choose another folder with --dir, or mend this one's permissions.",
      },
      { cause: error },
    );
  }
  return files;
}

function checkName(name: string): void {
  if (NAME.test(name) && !TAKEN.includes(name)) return;
  throw new SpillwayError({
    place: "spillway init",
    problem: TAKEN.includes(name)
      ? `\`name\` must not be "${name}", a package that the project depends on`
      : `\`name\` must be 1 to 35 lower-case letters, digits and hyphens, begin with a letter and not end with a hyphen, got ${JSON.stringify(name)}`,
    mend: "Choose a name such as `shop`.",
  });
}

function fill(template: string, values: Readonly<Record<string, string>>): string {
  const text = readFileSync(join(__dirname, "templates", template), "utf8");
  return text.replace(/\{\{(\w+)\}\}/g, (_, key: string) => {
    const value = values[key];
    if (value === undefined) throw new Error(`template ${template} asks for {{${key}}}`);
    return value;
  });
}

function parameters(name: string): string {
  return renderParameters(undefined, name, { [variableOf(name)]: quietParameters({ onPremSite: "onprem" }) });
}

function refuseToOverwrite(dir: string, files: readonly string[]): void {
  throwProblems(
    files
      .filter((file) => existsSync(join(dir, file)))
      .map((file) => ({
        place: join(dir, file),
        problem: "the file is there already, and nothing is overwritten",
        mend: "Choose another folder with --dir, or move it away.",
      })),
  );
}
