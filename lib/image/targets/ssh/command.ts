import { basename } from "node:path";
import type { SshAddress } from "./address";

export interface RemoteShell {
  /** The program and its options, as rsync's `-e` takes them. @default "ssh" */
  readonly rsh?: string;
  /** What is called at the other machine. @default "spillway" */
  readonly remoteCommand?: string;
}

/** What OpenSSH gets unless its user says otherwise: of an option that is given twice, the first counts. */
const OPENSSH_OPTIONS = [
  "ConnectTimeout=15",
  // A link that is cut is found, also while nothing is sent.
  "ServerAliveInterval=15",
  "ServerAliveCountMax=3",
  // Streams are to share no connection, or they would lose their speed together with each packet.
  "ControlPath=none",
  // Segments are packed already.
  "Compression=no",
];

/** The command that serves a directory at another machine, and its arguments. */
export function shellCommand(
  { destination, port, directory }: SshAddress,
  { rsh = "ssh", remoteCommand = "spillway" }: RemoteShell = {},
  mayAsk = true,
): { readonly program: string; readonly args: readonly string[] } {
  const [program = "ssh", ...own] = words(rsh);
  const isOpenSsh = basename(program) === "ssh";
  const options = isOpenSsh ? OPENSSH_OPTIONS.flatMap((option) => ["-o", option]) : [];
  // Asked for once, a password is enough: the streams after the first would all ask again.
  if (isOpenSsh && !mayAsk) options.push("-o", "BatchMode=yes");
  const remote = `${remoteCommand} image serve --stdio ${quote(directory)}`;
  return {
    program,
    args: [...own, ...options, ...(port === undefined ? [] : ["-p", String(port)]), destination, remote],
  };
}

/** As a POSIX shell takes it. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Words between blanks; quotes keep blanks together. */
function words(text: string): string[] {
  const found = text.matchAll(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g);
  return [...found].map(([word]) => word.replace(/"([^"]*)"|'([^']*)'/g, "$1$2"));
}
