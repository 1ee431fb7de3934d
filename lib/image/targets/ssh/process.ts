import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { TargetError } from "../errors";
import type { Carrier } from "../stdio/line";
import type { SshAddress } from "./address";
import { shellCommand, type RemoteShell, type ShellCommand } from "./command";

/** Its last words are waited for so long. */
const LAST_WORDS_MS = 2_000;
const KEPT_LINES = 20;

/** A remote shell that runs. */
export interface RemoteProcess {
  /** Of the far side, for errors. */
  readonly place: string;
  readonly input: Writable;
  readonly output: Readable;
  /** @returns what it ended with; undefined while it runs, and where it could not be started */
  readonly exitCode: () => number | null;
  /** Has somebody ended it, and not it itself? */
  readonly wasKilled: () => boolean;
  /** Settles when it has ended. */
  readonly ended: Promise<void>;
  /** What it, or the far side, has said of itself. */
  readonly said: readonly string[];
  /** Why it ended, or could not be started; undefined when it was told to, or ended well. Waits a little for its end. */
  readonly whyEnded: () => Promise<TargetError | undefined>;
  /** Ends it at once. Idempotent. */
  readonly kill: () => void;
}

/** Starts the remote shell with the far side. @param tell each line that it, or the far side, says of itself */
export function startShell(
  address: SshAddress,
  shell: RemoteShell,
  mayAsk: boolean,
  tell: (line: string) => void,
): Carrier {
  return startRemote(shellCommand(address, shell, mayAsk), address, shell, tell);
}

/** Starts a remote shell. */
export function startRemote(
  { program, args }: ShellCommand,
  address: SshAddress,
  shell: RemoteShell,
  tell: (line: string) => void = () => undefined,
): RemoteProcess {
  const place = `ssh://${address.destination}${address.port === undefined ? "" : `:${address.port}`}`;
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  const said: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    if (said.push(line) > KEPT_LINES) said.shift();
    tell(line);
  });
  child.stdin.on("error", () => undefined);
  let failed: Error | undefined;
  const ended = new Promise<void>((resolve) => {
    child.once("error", (error) => {
      failed = error;
      child.stdout.destroy();
      resolve();
    });
    child.once("close", () => resolve());
  });
  let isKilled = false;
  return {
    ...{ place, input: child.stdin, output: child.stdout, ended, said },
    exitCode: () => child.exitCode,
    wasKilled: () => child.signalCode !== null,
    kill: () => {
      isKilled = true;
      child.stdin.destroy();
      child.kill("SIGTERM");
    },
    whyEnded: async () => {
      await Promise.race([ended, new Promise((late) => setTimeout(late, LAST_WORDS_MS).unref())]);
      if (isKilled) return undefined;
      if (failed) return cannotStart(program, failed);
      return child.exitCode === null ? undefined : whatEnded(child.exitCode, said, program, place, shell);
    },
  };
}

function cannotStart(program: string, cause: Error): TargetError {
  return new TargetError(
    "invalid",
    {
      place: program,
      problem: `"${program}" cannot be started: ${cause.message}`,
      mend: "Install the OpenSSH client, or name another remote shell with --rsh.",
    },
    { cause },
  );
}

/** What ssh says of itself, and what that is for us. A further try may mend what is unreachable, and nothing else. */
const SSH_TROUBLE: readonly (readonly [words: RegExp, code: "unauthorized" | "unreachable", mend: string])[] =
  [
    [
      /host key verification failed|remote host identification has changed|no .*host key is known/i,
      "unauthorized",
      "Make sure that it is the right machine; then connect once with ssh by hand, or correct known_hosts (`ssh-keygen -R HOST` removes an old key).",
    ],
    [
      /permission denied|too many authentication failures|no supported authentication/i,
      "unauthorized",
      "Give a user and a key that may log in there; `ssh HOST true` must work without a question.",
    ],
    [/./, "unreachable", "Check the host's name, port and firewall: `ssh HOST true` must work."],
  ];

function whatEnded(
  exitCode: number,
  said: readonly string[],
  program: string,
  place: string,
  { remoteCommand = "spillway" }: RemoteShell,
): TargetError | undefined {
  const last = said.filter((line) => line.trim() !== "").join("; ");
  if (exitCode === 127 || exitCode === 126) {
    return new TargetError("invalid", {
      place,
      problem: `there is no \`${remoteCommand}\` to be run there${last ? `: ${last}` : ""}`,
      mend: "Install Spillway there (`npm install -g spillway`), or say where it is with --remote-command.",
    });
  }
  if (exitCode === 255) {
    const [, code, mend] =
      SSH_TROUBLE.find(([words]) => words.test(last)) ?? SSH_TROUBLE[SSH_TROUBLE.length - 1];
    return new TargetError(code, {
      place,
      problem: `${program} failed: ${last || "it did not say why"}`,
      mend,
    });
  }
  return new TargetError("unreachable", {
    place,
    problem: `the far side ended with exit code ${exitCode}${last ? `: ${last}` : ""}`,
    mend: "Look at what it says, then try again: what has arrived is kept.",
  });
}
