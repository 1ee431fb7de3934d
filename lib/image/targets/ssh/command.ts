import { basename } from "node:path";
import type { SshAddress } from "./address";

export interface RemoteShell {
  /** The program and its options, as rsync's `-e` takes them. @default "ssh" */
  readonly rsh?: string;
  /** What is called at the other machine. @default "spillway" */
  readonly remoteCommand?: string;
  /** Nothing is made or changed at the other machine: only what it holds is asked. @default false */
  readonly peek?: boolean;
}

/** What OpenSSH gets unless its user says otherwise with --rsh: of an option that is given twice, the first counts. */
const OPENSSH_OPTIONS = [
  // What the user's configuration says for his own logins there is none of the line's business.
  "RemoteCommand=none",
  "ClearAllForwardings=yes",
  "ForwardAgent=no",
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
  { rsh = "ssh", remoteCommand = "spillway", peek = false }: RemoteShell = {},
  mayAsk = true,
): { readonly program: string; readonly args: readonly string[] } {
  const [program = "ssh", ...own] = words(rsh);
  const isOpenSsh = basename(program) === "ssh";
  // A terminal would take some of the bytes for its own.
  const options = isOpenSsh ? ["-T", ...OPENSSH_OPTIONS.flatMap((option) => ["-o", option])] : [];
  // Asked for once, a password is enough: the streams after the first would all ask again.
  if (isOpenSsh && !mayAsk) options.push("-o", "BatchMode=yes");
  const remote = `${remoteCommand} image serve --stdio ${peek ? "--peek " : ""}${quote(directory)}`;
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
