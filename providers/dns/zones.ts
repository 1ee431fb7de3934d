import { throwProblems, type ProblemReport } from "../../lib/errors";
import { controlProblem } from "../local/control";

/** What a look at a server found, of all its zones. */
export interface ServerLook {
  /** All that is wrong. */
  readonly problems: readonly ProblemReport[];
  /** Those of one zone each. */
  readonly zones: ReadonlyMap<string, readonly ProblemReport[]>;
}

/** Which zones can be written to: trouble with one refuses what is to be put into it, and nothing else. */
export class Zones {
  private inTrouble: ReadonlySet<string> = new Set();

  constructor(
    private readonly all: readonly string[],
    private readonly look: () => Promise<ServerLook>,
  ) {}

  /** @throws SpillwayError, SpillwayErrors for a server that is not usable at all: by itself, or with none of its zones */
  async start(): Promise<void> {
    const { problems, zones } = await this.look();
    const ofZones = new Set([...zones.values()].flat());
    throwProblems(zones.size === this.all.length ? problems : problems.filter((one) => !ofZones.has(one)));
    this.inTrouble = new Set(zones.keys());
  }

  /** Looks again at one that was in trouble. @throws SpillwayError with code `invalid` when it still is */
  async mustBeWritable(zone: string): Promise<void> {
    if (!this.inTrouble.has(zone)) return;
    const { zones } = await this.look();
    this.inTrouble = new Set(zones.keys());
    const [first, ...more] = zones.get(zone) ?? [];
    if (first === undefined) return;
    throw controlProblem("invalid", {
      ...first,
      problem: [first, ...more].map(({ problem }) => problem).join("; "),
    });
  }
}
