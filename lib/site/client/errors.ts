import { SpillwayError, type ProblemReport } from "../../errors";
import type { ApiProblem } from "../api";

/** What the agent answered, or what kept it from answering. */
export type SiteErrorCode = ApiProblem["code"] | "unreachable" | "slow" | "no-token" | "not-an-agent";

/** A site said no, or said nothing. */
export class SiteError extends SpillwayError {
  override readonly name = "SiteError";
  /** Of a refused segment: send its blocks again without any copy. */
  readonly withoutCopies?: boolean;

  constructor(
    readonly code: SiteErrorCode,
    report: ProblemReport,
    options?: { readonly cause?: unknown; readonly withoutCopies?: boolean },
  ) {
    super(report, options);
    this.withoutCopies = options?.withoutCopies;
  }

  /** True when nothing is known about the site's state: it may do its work well, only nobody can ask it. */
  get isSilence(): boolean {
    return this.code === "unreachable" || this.code === "slow" || this.code === "part-unavailable";
  }
}

export function agentDown(
  site: string,
  endpoint: string,
  why: string,
  triedMs: number,
  cause: unknown,
): SiteError {
  return new SiteError(
    "unreachable",
    {
      place: `site ${site}, ${endpoint}`,
      problem: `the agent of site "${site}" cannot be reached at ${endpoint}: ${why}${triedMs >= 1_000 ? ` (tried for ${Math.round(triedMs / 1_000)} s)` : ""}`,
      mend: `Start it there with \`spillway agent\` (or \`spillway lab\` on one machine), or correct the site's \`endpoint\`; \`spillway doctor\` says what is missing.`,
    },
    { cause },
  );
}

export function agentSlow(site: string, endpoint: string, request: string, timeoutMs: number): SiteError {
  return new SiteError("slow", {
    place: `site ${site}, ${endpoint}`,
    problem: `the agent of site "${site}" took ${request} but did not answer it within ${timeoutMs} ms`,
    mend: "Look at the agent's log and at the load of its machine, then try again; nothing more was asked of it.",
  });
}

export function wrongToken(site: string, endpoint: string, source: string): SiteError {
  return new SiteError("unauthorized", {
    place: `site ${site}, ${endpoint}`,
    problem: `the agent of site "${site}" refused the token from ${source}`,
    mend: "Give the token that the agent was started with, through the site's `token_file` or `token_env`.",
  });
}

export function noToken(site: string, problem: string, mend: string): SiteError {
  return new SiteError("no-token", { place: `site ${site}`, problem, mend });
}

export function notAnAgent(site: string, endpoint: string, what: string, cause?: unknown): SiteError {
  return new SiteError(
    "not-an-agent",
    {
      place: `site ${site}, ${endpoint}`,
      problem: `what answers at ${endpoint} is not the agent of site "${site}": ${what}`,
      mend: "Correct the site's `endpoint` (scheme, host and port), or stop what listens there; `spillway doctor` shows both.",
    },
    { cause },
  );
}

export function tokenInTheClear(site: string, endpoint: string): SiteError {
  return new SiteError("not-an-agent", {
    place: `site ${site}, ${endpoint}`,
    problem: `the endpoint "${endpoint}" would carry the token unencrypted over a network`,
    mend: "Use https:// (with `ca_file` for an authority of your own); http:// is for loopback addresses only.",
    attribute: ["sites", site, "endpoint"],
  });
}

export function badEndpoint(site: string, endpoint: string): SiteError {
  return new SiteError("not-an-agent", {
    place: `site ${site}`,
    problem: `the endpoint "${endpoint}" is not an http:// or https:// address`,
    mend: "Write it as http://127.0.0.1:7501 or https://agent.example.org:7501.",
    attribute: ["sites", site, "endpoint"],
  });
}

export function unknownSite(site: string, known: readonly string[]): SpillwayError {
  return new SpillwayError({
    place: `site ${site}`,
    problem: `no site "${site}" is configured; known sites: ${known.length > 0 ? known.map((name) => `"${name}"`).join(", ") : "none"}`,
    mend: "Use one of the known names, or add the site to `sites` of the provider `spillway`.",
    attribute: ["site"],
  });
}
