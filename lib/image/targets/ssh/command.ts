import { basename } from "node:path";
import type { SshAddress } from "./address";

export interface RemoteShell {
  /** The program and its options, as rsync's `-e` takes them. @default "ssh" */
  readonly rsh?: string;
  /** What is called at the other machine. @default "spillway" */
  readonly remoteCommand?: string;
  /** Nothing is made or changed at the other machine: only what it holds is asked. @default false */
  readonly peek?: boolean;
  /** What is not a directory of images yet is refused instead of made one. @default false */
  readonly mustExist?: boolean;
}

/** A program and its arguments. */
export interface ShellCommand {
  readonly program: string;
  readonly args: readonly string[];
}

/** What OpenSSH gets unless its user says otherwise with --rsh: of an option that is given twice, the first counts. */
const OPENSSH_OPTIONS = [
  // What the user's configuration says for his own logins there is none of the line's business.
  "RemoteCommand=none",
  "ForwardAgent=no",
  "ForwardX11=no",
  "ConnectTimeout=15",
  // A link that is cut is found, also while nothing is sent.
  "ServerAliveInterval=15",
  "ServerAliveCountMax=3",
  // Streams are to share no connection, or they would lose their speed together with each packet.
  "ControlPath=none",
  // Segments are packed already.
  "Compression=no",
];

/** Nor do the forwardings of those. */
const WITHOUT_FORWARDINGS = "ClearAllForwardings=yes";

/** For a stream that ends at a socket of the far side's; that it may be none of this user's own was seen before. */
const ONE_FORWARDING = [
  "ClearAllForwardings=no",
  "ExitOnForwardFailure=yes",
  "StreamLocalBindMask=0177",
  // What it says of itself tells why there is no stream.
  "LogLevel=INFO",
];

/** Runs as long as its standard input is open, which ends with us; by then the stream keeps the connection. */
const HOLD_ON = "cat";

/** The command that serves a directory at another machine, and its arguments. */
export function shellCommand(address: SshAddress, shell: RemoteShell = {}, mayAsk = true): ShellCommand {
  const { remoteCommand = "spillway", peek = false, mustExist = false } = shell;
  const how = `${peek ? "--peek " : ""}${mustExist ? "--existing " : ""}`;
  const remote = `${remoteCommand} image serve --stdio ${how}${quote(address.directory)}`;
  return commandOf(address, shell, [WITHOUT_FORWARDINGS, ...asking(mayAsk)], [], remote);
}

/** The command that brings whoever connects to a socket here to one at the other machine. OpenSSH's only. */
export function forwardCommand(
  address: SshAddress,
  shell: RemoteShell,
  sockets: { readonly here: string; readonly there: string },
): ShellCommand {
  const forwarding = ["-L", `${sockets.here}:${sockets.there}`];
  return commandOf(address, shell, [...ONE_FORWARDING, ...asking(false)], forwarding, HOLD_ON);
}

/** The command that prints the user's configuration for that host; undefined where only OpenSSH has one. */
export function configurationCommand(address: SshAddress, shell: RemoteShell): ShellCommand | undefined {
  return isOpenSsh(shell) ? commandOf(address, shell, ["ClearAllForwardings=no"], ["-G"]) : undefined;
}

function commandOf(
  { destination, port }: SshAddress,
  shell: RemoteShell,
  settings: readonly string[],
  flags: readonly string[],
  remote?: string,
): ShellCommand {
  const [program = "ssh", ...own] = words(shell.rsh ?? "ssh");
  // A terminal would take some of the bytes for its own.
  const options = isOpenSsh(shell)
    ? ["-T", ...[...OPENSSH_OPTIONS, ...settings].flatMap((option) => ["-o", option]), ...flags]
    : [];
  const where = [...(port === undefined ? [] : ["-p", String(port)]), destination];
  return { program, args: [...own, ...options, ...where, ...(remote === undefined ? [] : [remote])] };
}

/** Asked for once, a password is enough: the streams after the first would all ask again. */
function asking(mayAsk: boolean): readonly string[] {
  return mayAsk ? [] : ["BatchMode=yes"];
}

function isOpenSsh({ rsh = "ssh" }: RemoteShell): boolean {
  return basename(words(rsh)[0] ?? "ssh") === "ssh";
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
