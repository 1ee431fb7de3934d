import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { SpillwayError } from "../../../lib/errors";
import {
  glanceAtDirectory,
  openImageDirectory,
  parseSshAddress,
  requireStore,
  SshTarget,
} from "../../../lib/image/targets";
import type { SnapshotService } from "../../../lib/image/snapshot";
import type { ImageTarget } from "../../../lib/image/wire/target";
import { SiteClient, SiteDirectory } from "../../../lib/site/client";
import type { StepContext } from "../../../lib/wait";
import { UsageError } from "../../output";
import { endpointsOf } from "../../project";
import { siteTarget } from "./site-target";

export interface TargetOptions {
  /** @default "." */
  readonly dir?: string;
  readonly tokenFile?: string;
  readonly tokenEnv?: string;
  readonly caFile?: string;
  readonly rsh?: string;
  readonly remoteCommand?: string;
  readonly endpointUrl?: string;
  /** It is only asked what it holds: nothing is made or changed there. @default false */
  readonly peek?: boolean;
  /** Where no images were ever pushed to nothing is made: it is refused. Of directories, here and over ssh. @default false */
  readonly mustExist?: boolean;
}

/** A target that was found and answers. */
export interface OpenTarget {
  readonly target: ImageTarget;
  /** Names it apart from all others. */
  readonly name: string;
  /** Reads an image there again, wholly. @returns its size */
  readonly verify: (digest: string, context: StepContext) => Promise<{ readonly sizeBytes: number }>;
  /** To be called for each image that was pushed, with the index that this side made. */
  readonly keepIndex?: (digest: string, indexPath: string, signal: AbortSignal) => Promise<void>;
  readonly close: () => Promise<void> | void;
}

/** A region of AWS: images become snapshots there. */
export interface OpenRegion extends Pick<OpenTarget, "name" | "verify" | "close"> {
  readonly snapshots: SnapshotService;
}

export type TargetKind = "site" | "agent" | "ssh" | "bucket" | "ebs" | "directory";

/** What begins so is meant as an address, not as a directory's name; `./s3:x` is one. */
const LIKE_AN_ADDRESS = /^(?:[a-z][a-z0-9+.-]*:\/\/|(?:https?|ssh|s3|site|ebs):)/i;

/** What sort of target a text names. @throws UsageError for an address that is none */
export function kindOf(text: string): TargetKind {
  if (text.startsWith("site:")) return "site";
  if (/^https?:\/\//.test(text)) return "agent";
  if (text.startsWith("ssh://")) return "ssh";
  if (text.startsWith("s3://")) return "bucket";
  if (/^ebs:[a-z0-9-]*$/.test(text)) return "ebs";
  if (LIKE_AN_ADDRESS.test(text)) throw new UsageError(unknownAddress(text));
  return "directory";
}

/**
 * Finds a target and connects to it, so that what is wrong is told before anything is read or sent.
 * @throws SpillwayError
 */
export async function openTarget(
  text: string,
  options: TargetOptions,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<OpenTarget | OpenRegion> {
  switch (kindOf(text)) {
    case "site":
      return openSite(text.slice("site:".length), options);
    case "agent":
      return openAgent(text, options);
    case "ssh":
      return openSsh(text, options, tell, signal);
    case "bucket":
      return (await import("./bucket-target.js")).openBucket(text, options, signal);
    case "ebs":
      return (await import("./region-target.js")).openRegion(text.slice("ebs:".length), options);
    case "directory":
      return openDirectory(text, options);
  }
}

function openSite(site: string, { dir = "." }: TargetOptions): OpenTarget {
  const sites = new SiteDirectory(endpointsOf(resolve(dir)));
  return siteTarget(sites.get(site), () => sites.close());
}

function openAgent(endpoint: string, { tokenFile, tokenEnv, caFile }: TargetOptions): OpenTarget {
  const url = endpoint.replace(/\/+$/, "");
  const client = new SiteClient(new URL(url).host, {
    endpoint: url,
    tokenFile: tokenFile && resolve(tokenFile),
    tokenEnv,
    caFile: caFile && resolve(caFile),
  });
  return siteTarget(client, () => client.close());
}

async function openSsh(
  text: string,
  { rsh, remoteCommand, peek, mustExist }: TargetOptions,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<OpenTarget> {
  const address = parseSshAddress(text);
  const target = new SshTarget(address, { rsh, remoteCommand, peek, mustExist, tell });
  try {
    const directory = await target.connect(signal);
    const port = address.port === undefined ? "" : `:${address.port}`;
    return {
      target,
      name: `ssh://${address.destination}${port}${directory}`,
      verify: (digest, context) => target.verify(digest, context.signal),
      close: () => target.close(),
    };
  } catch (error) {
    target.close();
    throw error;
  }
}

async function openDirectory(text: string, { peek = false, mustExist }: TargetOptions): Promise<OpenTarget> {
  const path = resolve(text);
  if (existsSync(path) && !statSync(path).isDirectory()) throw notADirectory(path);
  if (peek) {
    const target = glanceAtDirectory(path);
    return { target, name: path, verify: (digest) => target.verify(digest), close: () => undefined };
  }
  if (mustExist) await requireStore(path);
  const directory = await openImageDirectory(path);
  return {
    target: directory,
    name: path,
    verify: (digest, { signal, progress }) =>
      directory.verify(digest, {
        signal,
        onRead: (bytes, ofBytes) =>
          progress({
            step: "transfer",
            subject: digest.slice(0, 19),
            message: `read ${Math.floor((bytes / ofBytes) * 100)} %`,
            fraction: bytes / ofBytes,
          }),
      }),
    close: () => directory.close(),
  };
}

const FORMS =
  "Give site:NAME, https://host:port, ssh://host/path, s3://bucket/prefix, ebs:REGION or a directory (./NAME).";

function unknownAddress(text: string): SpillwayError {
  return new SpillwayError({
    place: text,
    problem: `nothing is known of targets such as "${text}"`,
    mend: FORMS,
  });
}

function notADirectory(path: string): SpillwayError {
  return new SpillwayError({ place: path, problem: `"${path}" is not a directory`, mend: FORMS });
}
