import { SpillwayError } from "../../../errors";

/** A directory at another machine. */
export interface SshAddress {
  /** `user@host` or `host`, as ssh takes it. */
  readonly destination: string;
  /** @default what ssh's configuration says */
  readonly port?: number;
  /** Absolute, or beginning at the home directory. */
  readonly directory: string;
}

const FORM = "Write it as ssh://user@host/path/to/directory or ssh://host:2222/~/directory.";

/** Reads `ssh://[user@]host[:port]/path`; `/~/path` begins at the home directory. @throws SpillwayError */
export function parseSshAddress(text: string): SshAddress {
  const refuse = (problem: string) => new SpillwayError({ place: text, problem, mend: FORM });
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw refuse(`"${text}" is no ssh:// address`);
  }
  if (url.protocol !== "ssh:") throw refuse(`"${text}" is no ssh:// address`);
  if (url.password) throw refuse("an ssh:// address carries no password");
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const user = decodeURIComponent(url.username);
  // What begins with a dash would be an option of ssh's.
  if (host === "" || /^-/.test(host) || /^-/.test(user)) throw refuse(`"${text}" names no host`);
  if (url.search || url.hash) throw refuse(`"${text}" has more than a path`);
  const path = decodeURIComponent(url.pathname);
  if (path === "" || path === "/" || path.includes("\0")) throw refuse(`"${text}" names no directory`);
  return {
    destination: user ? `${user}@${host}` : host,
    port: url.port ? Number(url.port) : undefined,
    directory: path.startsWith("/~/") ? `./${path.slice(3)}` : path,
  };
}
