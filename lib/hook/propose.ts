import { spawn } from "node:child_process";
import { realpathSync, rmSync } from "node:fs";
import { basename, dirname, join, relative, sep } from "node:path";
import { SpillwayError, messageOf } from "../errors";

export interface ProposalOptions {
  /** The file to propose, in a git working tree. */
  readonly file: string;
  /** The text it is to have. */
  readonly text: string;
  readonly burst: string;
  readonly message: string;
  readonly at: number;
  /** For the temporary index. */
  readonly scratch: string;
}

export interface Proposal {
  readonly branch: string;
  readonly commit: string;
}

/**
 * Commits one changed file on a new branch `spillway/BURST/TIME`, on top of HEAD. Working tree, index and HEAD stay as they are: the
 * commit is made from git's own objects with an index of its own.
 * @throws SpillwayError if the file is in no git repository, or git is missing or refuses
 */
export async function propose(options: ProposalOptions): Promise<Proposal> {
  const folder = realpathSync(dirname(options.file));
  const top = (await git(folder, ["rev-parse", "--show-toplevel"])).trim();
  const path = relative(realpathSync(top), join(folder, basename(options.file)))
    .split(sep)
    .join("/");
  const index = join(options.scratch, `index-${process.pid}-${options.at}`);
  const inIndex = { GIT_INDEX_FILE: index };
  try {
    const head = (await git(top, ["rev-parse", "--verify", "HEAD^{commit}"])).trim();
    const blob = (await git(top, ["hash-object", "-w", "--stdin"], {}, options.text)).trim();
    await git(top, ["read-tree", head], inIndex);
    await git(top, ["update-index", "--add", "--cacheinfo", `100644,${blob},${path}`], inIndex);
    const tree = (await git(top, ["write-tree"], inIndex)).trim();
    const author = await identity(top);
    const commit = (
      await git(top, ["commit-tree", tree, "-p", head, "-F", "-"], author, options.message)
    ).trim();
    const branch = `spillway/${options.burst}/${timestamp(options.at)}`;
    // The empty old value refuses to overwrite a branch of that name.
    await git(top, ["update-ref", `refs/heads/${branch}`, commit, ""]);
    return { branch, commit };
  } finally {
    rmSync(index, { force: true });
    rmSync(`${index}.lock`, { force: true });
  }
}

/** `20261123T121904.123Z`: sorts, and may stand in a ref. */
function timestamp(at: number): string {
  return new Date(at).toISOString().replace(/[-:]/g, "");
}

/** A machine that runs a hook may have no git identity. */
async function identity(top: string): Promise<Record<string, string>> {
  try {
    await git(top, ["var", "GIT_AUTHOR_IDENT"]);
    return {};
  } catch {
    const name = "Spillway";
    const email = "spillway@localhost";
    return {
      GIT_AUTHOR_NAME: name,
      GIT_AUTHOR_EMAIL: email,
      GIT_COMMITTER_NAME: name,
      GIT_COMMITTER_EMAIL: email,
    };
  }
}

function git(
  folder: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  input = "",
): Promise<string> {
  return new Promise((resolve, reject) => {
    const refuse = (why: string, cause?: unknown) =>
      reject(
        new SpillwayError(
          {
            place: folder,
            problem: `\`git ${args[0]}\` failed: ${why}`,
            mend: "Propose mode needs git on PATH, and the parameters file in a git repository with at least one commit.",
          },
          { cause },
        ),
      );
    const child = spawn("git", [...args], {
      cwd: folder,
      env: { ...process.env, LC_ALL: "C", ...environment },
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    child.on("error", (error) => refuse(messageOf(error), error));
    child.on("close", (code) => {
      if (code === 0) resolve(Buffer.concat(out).toString("utf8"));
      else refuse(Buffer.concat(err).toString("utf8").trim() || `code ${code}`);
    });
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
  });
}
