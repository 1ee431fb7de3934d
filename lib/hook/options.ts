import type { BackOffOptions } from "./back-off";
import type { HookEvent } from "./events";
import type { ImageLink } from "./image-link";
import type { HookDirectories } from "./load-manifest";
import type { BurstManifest, BurstPolicy } from "./manifest";
import type { Observer } from "./observe";
import type { PriceBook } from "../review/cost";
import type { ShiftAhead } from "../steps";

/** Time, so that a recorded day can be replayed in seconds. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** @throws AbortedError as soon as the signal fires */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export interface TerraformSettings {
  /** What Terraform is started with. The CLI adds `TF_REATTACH_PROVIDERS` of a provider it holds itself. @default process.env */
  readonly environment?: NodeJS.ProcessEnv;
  /** @default - SPILLWAY_TERRAFORM, then terraform on PATH, then tofu on PATH */
  readonly binary?: string;
  /** How long to wait for the state's lock. @default 30000 */
  readonly lockTimeoutMs?: number;
  /** An apply that is told to stop gets so long before it is killed, which can lose state. @default 300000 */
  readonly killAfterMs?: number;
}

export interface HookOptions {
  readonly manifest: BurstManifest;
  readonly directories: HookDirectories;
  /** @default the manifest's */
  readonly policy?: BurstPolicy;
  /** `apply`: plan, check, flip, apply. `propose`: commit the flip on a branch, for a pull request. */
  readonly mode: "apply" | "propose";
  /** Undefined (in propose mode only): proposals are not rehearsed by a plan. */
  readonly terraform?: TerraformSettings;
  readonly observe: Observer;
  /** Ends the hook: a running apply is stopped in good order first. */
  readonly signal: AbortSignal;
  readonly onEvent?: (event: HookEvent) => void;
  readonly clock?: Clock;
  /** A file to which a provider appends its progress lines. @default - one of the hook's own, named to Terraform in SPILLWAY_PROGRESS */
  readonly progressFile?: string;
  /** Wait for another active hook to go, instead of refusing to start. @default true */
  readonly waitForLease?: boolean;
  /** @default 15000 */
  readonly leaseExpiryMs?: number;
  readonly backOff?: BackOffOptions;
  /** What the cloud charges, to say in each plan what it costs. @default - nothing is said of cost */
  readonly prices?: PriceBook;
  /** How the image is brought nearer between bursts. @default - over clients for the manifest's sites */
  readonly imageLink?: ImageLink;
  /** Where the record's TTL is lowered when a shift is foreseen. @default - the manifest's name server */
  readonly shiftAhead?: Pick<ShiftAhead, "foresee">;
  /** How long the weights may take to be in force after an apply. @default 10000 */
  readonly verifyTimeoutMs?: number;
}
