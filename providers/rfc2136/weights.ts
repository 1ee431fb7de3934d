import type { ProblemReport } from "../../lib/errors";
import type { RecordSpec } from "../../lib/site/api";
import { answerType } from "../local/nameserver/zone";

/** How weights are given by a server that has none. */
export interface WeightOptions {
  /**
   * Further addresses of each site, of the same type: a site with four beside one with one gets 80 %. The declared address is always
   * the first.
   * @default - each site has its declared address only
   */
  readonly addresses?: Readonly<Record<string, readonly string[]>>;
  /**
   * What to do when the addresses cannot give the weights within `tolerancePoints`. `refuse`: an error. `failover`: only the heaviest site is
   * answered. `nearest`: as near as the addresses allow, with every site.
   * @default "refuse"
   */
  readonly uneven?: "refuse" | "failover" | "nearest";
  /** Points of 100 that a site's share may differ. @default 5 */
  readonly tolerancePoints?: number;
}

/** What a server without weights would answer. */
export interface AnswerPlan {
  /** All of one set: each is given with every answer, in turning order. */
  readonly addresses: readonly string[];
  readonly shares: readonly { readonly site: string; readonly declared: number; readonly given: number }[];
  /** For the plan, when it differs from what was declared. */
  readonly notes: readonly string[];
  readonly problems: readonly ProblemReport[];
}

/** A set of so many addresses still fits into one UDP answer, beside its name. */
const MOST_ADDRESSES = 32;

/**
 * What would be answered for a record: DNS has no weights, and no set holds the same address twice, so shares come from the number
 * of addresses. Pure, for plan time as for the put itself.
 */
export function planAnswers(name: string, spec: RecordSpec, options: WeightOptions = {}): AnswerPlan {
  const { uneven = "refuse", tolerancePoints = 5 } = options;
  const isAlias = answerType(spec.answers[0]) === "CNAME";
  const problems: ProblemReport[] = [];
  const sites = spec.answers.map((answer) => {
    const more = options.addresses?.[answer.site] ?? [];
    const type = answerType(answer);
    for (const address of more) {
      if (answerType({ ...answer, address }) === type) continue;
      problems.push({
        place: `record ${name}`,
        problem: `address "${address}" of ${answer.site} is not of type ${type}, as "${answer.address}" is`,
        mend: "Give addresses of one type only in `addresses`.",
        attribute: ["answers"],
      });
    }
    return { ...answer, all: isAlias ? [answer.address] : [...new Set([answer.address, ...more])] };
  });
  const total = sites.reduce((sum, { weight }) => sum + weight, 0);
  const declared = sites.map(({ weight }) => (100 * weight) / total);
  const heaviest = declared.indexOf(Math.max(...declared));
  const one = sites.map((_, at) => (at === heaviest ? 1 : 0));
  // A name has one alias (RFC 2181, 10.1).
  const near = isAlias
    ? one
    : addressCounts(
        declared,
        sites.map(({ all }) => all.length),
      );
  const isNear = errorPoints(near, declared) <= tolerancePoints;
  const isFailover = !isNear && uneven === "failover";
  const counts = isFailover ? one.map((count, at) => count * sites[at].all.length) : near;
  const given = sharesOf(counts);
  const shares = sites.map(({ site }, at) => ({ site, declared: declared[at], given: given[at] }));
  const said = shares.map(({ site, given: share }) => `${site} ${Math.round(share)} %`).join(", ");
  const wanted = shares.map(({ site, declared: share }) => `${site} ${Math.round(share)} %`).join(", ");
  if (!isNear && (uneven === "refuse" || (isAlias && uneven === "nearest"))) {
    problems.push({
      place: `record ${name}`,
      problem: `a server without weights cannot give ${wanted}: ${isAlias ? "a name has one alias only" : `these addresses would give ${said}`}`,
      mend: isAlias
        ? 'Give addresses instead of host names, or set `uneven` to "failover".'
        : 'Give sites more addresses (`addresses`), use a server with weights (PowerDNS), or set `uneven` to "failover" or "nearest".',
      attribute: ["answers"],
    });
  }
  const notes: string[] = [];
  if (isFailover)
    notes.push(
      `${name}: ${wanted} declared; the server has no weights, so all users are directed to ${sites[heaviest].site}`,
    );
  else if (errorPoints(counts, declared) >= 0.5)
    notes.push(`${name}: ${wanted} declared; by the number of addresses it becomes ${said}`);
  return { addresses: sites.flatMap(({ all }, at) => all.slice(0, counts[at])), shares, notes, problems };
}

/**
 * How many of its addresses each site gives, at least one each, so that their shares come nearest to what was declared (in percent); the
 * smallest such set.
 */
export function addressCounts(declared: readonly number[], available: readonly number[]): readonly number[] {
  let best = declared.map(() => 1);
  const most = Math.min(
    available.reduce((sum, count) => sum + count, 0),
    MOST_ADDRESSES,
  );
  for (let size = declared.length + 1; size <= most; size += 1) {
    const counts = declared.map((share, at) =>
      Math.min(Math.max(Math.round((share * size) / 100), 1), available[at]),
    );
    if (errorPoints(counts, declared) < errorPoints(best, declared) - 1e-9) best = counts;
  }
  return best;
}

function sharesOf(counts: readonly number[]): readonly number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => (100 * count) / total);
}

/** The largest difference of a share, in points. */
function errorPoints(counts: readonly number[], declared: readonly number[]): number {
  return Math.max(...sharesOf(counts).map((share, at) => Math.abs(share - declared[at])));
}
