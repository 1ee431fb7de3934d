import { messageOf, SpillwayError, SpillwayErrors, type ProblemReport } from "../../errors";
import type { PartStatus } from "../api";
import type { PartCheck, SitePorts } from "../ports";

/** What is known to keep a part from being used, besides what its own check finds. */
export type KnownProblems = Readonly<Partial<Record<PartStatus["part"], readonly ProblemReport[]>>>;

const NOTHING: PartCheck = { problems: [], advice: [] };

/** Looks at every part of a site, all at the same time. Changes nothing, and throws nothing: what goes wrong is a problem of its part. */
export async function partStatuses(
  ports: SitePorts,
  signal: AbortSignal,
  known: KnownProblems = {},
): Promise<readonly PartStatus[]> {
  const { launcher, balancer, nameServer } = ports;
  const looks: Promise<PartStatus>[] = [
    Promise.resolve({ part: "launcher", kind: launcher.kind ?? "process", ...NOTHING }),
    statusOf("balancer", balancer, signal, known.balancer),
  ];
  if (nameServer) looks.push(statusOf("nameServer", nameServer, signal, known.nameServer));
  return Promise.all(looks);
}

/** What a look found is told so long again: whoever watches asks often, and a look at a balancer gives it orders, if harmless ones. */
const FRESH_MS = 5_000;
/** A look at all parts takes so long at most. */
const LOOK_MS = 8_000;

/** Looks at the parts of a site for all who ask at about the same time. */
export class PartsWatch {
  private last:
    | { readonly at: number; readonly known: string; readonly found: Promise<readonly PartStatus[]> }
    | undefined;
  private waiting = 0;
  private unwanted = new AbortController();

  constructor(private readonly ports: SitePorts) {}

  /** A look ends when nobody waits for it any more. What becomes known meanwhile is a reason to look anew. */
  async now(signal: AbortSignal, known: KnownProblems): Promise<readonly PartStatus[]> {
    const text = JSON.stringify(known);
    let last = this.last;
    if (!last || last.known !== text || Date.now() - last.at >= FRESH_MS) {
      this.unwanted = new AbortController();
      this.waiting = 0;
      const limit = AbortSignal.any([this.unwanted.signal, AbortSignal.timeout(LOOK_MS)]);
      last = { at: Date.now(), known: text, found: partStatuses(this.ports, limit, known) };
      this.last = last;
    }
    const look = last;
    const { unwanted } = this;
    this.waiting += 1;
    const left = () => {
      if (unwanted !== this.unwanted || (this.waiting -= 1) > 0) return;
      unwanted.abort();
      this.last = undefined;
    };
    signal.addEventListener("abort", left, { once: true });
    try {
      return await look.found;
    } finally {
      signal.removeEventListener("abort", left);
      if (unwanted === this.unwanted && !signal.aborted) this.waiting -= 1;
    }
  }
}

/** What is known of every part without asking it anything. */
export function knownStatuses(
  { launcher, balancer, nameServer }: SitePorts,
  known: KnownProblems,
): readonly PartStatus[] {
  const of = (part: PartStatus["part"], port: { readonly kind?: string }, kind: string): PartStatus => ({
    part,
    kind: port.kind ?? kind,
    problems: known[part] ?? [],
    advice: [],
  });
  return [
    of("launcher", launcher, "process"),
    of("balancer", balancer, "embedded"),
    ...(nameServer ? [of("nameServer", nameServer, "embedded")] : []),
  ];
}

async function statusOf(
  part: PartStatus["part"],
  port: { readonly kind?: string; check?(signal: AbortSignal): Promise<PartCheck> },
  signal: AbortSignal,
  known: readonly ProblemReport[] = [],
): Promise<PartStatus> {
  const { problems, advice } = await checked(part, port, signal);
  return { part, kind: port.kind ?? "embedded", problems: distinct([...problems, ...known]), advice };
}

async function checked(
  part: PartStatus["part"],
  port: { check?(signal: AbortSignal): Promise<PartCheck> },
  signal: AbortSignal,
): Promise<PartCheck> {
  if (port.check === undefined) return NOTHING;
  const late = new Promise<never>((_, reject) =>
    signal.addEventListener("abort", () => reject(new Error("it did not answer in time")), { once: true }),
  );
  // Whichever comes second is nobody's to catch.
  late.catch(() => undefined);
  try {
    return await Promise.race([port.check(signal), late]);
  } catch (error) {
    if (error instanceof SpillwayErrors)
      return { problems: error.errors.map(({ report }) => report), advice: [] };
    const report =
      error instanceof SpillwayError
        ? error.report
        : { place: part, problem: messageOf(error), mend: "Look at its log, and ask again." };
    return { problems: [report], advice: [] };
  }
}

function distinct(reports: readonly ProblemReport[]): readonly ProblemReport[] {
  const key = ({ place, problem }: ProblemReport) => JSON.stringify([place, problem]);
  return [...new Map(reports.map((report) => [key(report), report])).values()];
}
