import { askNumber, QueryError, type QueryObserver } from "../observers";
import { AbortedError, messageOf, SpillwayError } from "../errors";
import type { SiteObservation } from "../policy";

/** Figures of a side that others than its agent may see. */
export type SideFigures = Partial<
  Pick<
    SiteObservation,
    | "demandRps"
    | "members"
    | "membersUp"
    | "sessions"
    | "openConnections"
    | "queued"
    | "p95Ms"
    | "failedTotal"
  >
>;

/** The names of the figures, for those who check a manifest. */
export const SIDE_FIGURES = [
  "demandRps",
  "members",
  "membersUp",
  "sessions",
  "openConnections",
  "queued",
  "p95Ms",
  "failedTotal",
] as const satisfies readonly (keyof SideFigures)[];

/** PromQL by figure. What it gives takes the place of what the agent says. */
export type SideQueries = { readonly [N in keyof SideFigures]?: string };

/** Looks at one side with other eyes. Throws when a figure cannot be known: it is never made up. */
export type SideObserver = (signal: AbortSignal) => Promise<SideFigures>;

/** A side seen by queries, all asked at once. */
export function querySide(observer: QueryObserver, queries: SideQueries, timeoutMs = 2_000): SideObserver {
  const asked = SIDE_FIGURES.filter((figure) => queries[figure] !== undefined);
  return async (signal) => {
    const figures = await Promise.all(
      asked.map(async (figure) => {
        const value = await askNumber(observer, queries[figure] ?? "", { signal, timeoutMs });
        if (value >= 0) return [figure, value] as const;
        throw new QueryError("data", {
          place: observer.place,
          problem: `the query \`${queries[figure]}\` for \`${figure}\` gives ${value}, and a negative figure is none`,
          mend: "Correct it.",
        });
      }),
    );
    return Object.fromEntries(figures);
  };
}

/**
 * A side's observation with what others see in the place of what its agent says. When they cannot tell, the side counts as not
 * reachable: nothing follows from its figures. An agent that is silent is stood in for only by eyes that see demand, members and users.
 */
export async function withOtherEyes(
  seen: SiteObservation,
  observers: readonly SideObserver[],
  signal: AbortSignal,
): Promise<SiteObservation> {
  if (observers.length === 0) return seen;
  try {
    const figures = Object.assign(
      {},
      ...(await Promise.all(observers.map((look) => look(signal)))),
    ) as SideFigures;
    const { demandRps, membersUp, sessions } = figures;
    const sufficient = [demandRps, membersUp, sessions].every((figure) => figure !== undefined);
    if (!seen.reachable && !sufficient) return seen;
    const { problem: _silence, ...rest } = seen;
    const members = figures.members ?? Math.max(seen.members, figures.membersUp ?? 0);
    return { ...rest, reachable: true, ...figures, members };
  } catch (error) {
    if (error instanceof AbortedError || signal.aborted) throw error;
    const problem = error instanceof SpillwayError ? error.report.problem : messageOf(error);
    return { ...seen, reachable: false, problem };
  }
}
