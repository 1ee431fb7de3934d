import {
  characterStrings,
  formatMark,
  markedName,
  markName,
  mustBeFree,
  readMark,
  type OwnershipMark,
} from "../dns";
import { nameProblem, normalName } from "../local/nameserver/names";
import type { PowerDnsApi, RrSet } from "./api";
import { NoSuchZone } from "./errors";
import type { Settings } from "./options";

/** A zone whose serial is the same is read anew after this time: not every change of a database moves it. */
const REREAD_MS = 30_000;
/** For plans, of which there may be many at once, it is read anew after this time only. */
const PLAN_REREAD_MS = 500;

/** A record of this installation as it was read. */
export interface Held {
  readonly zone: string;
  readonly name: string;
  readonly mark: OwnershipMark;
  /** At the name itself. */
  readonly sets: readonly RrSet[];
}

/** All records of this installation. Whole zones are read, but only when they changed. */
export class Marks {
  private readonly read = new Map<
    string,
    { readonly serial: number; readonly at: number; readonly held: readonly Held[] }
  >();

  private readonly planned = new Map<
    string,
    { readonly at: number; readonly sets: Promise<ReadonlyMap<string, readonly RrSet[]>> }
  >();

  constructor(
    private readonly api: PowerDnsApi,
    private readonly settings: Pick<Settings, "zones" | "agent">,
  ) {}

  /** @throws SpillwayError when PowerDNS does not answer */
  async all(): Promise<readonly Held[]> {
    const held: Held[] = [];
    const gone: NoSuchZone[] = [];
    for (const zone of this.settings.zones) {
      try {
        held.push(...(await this.inZone(zone)));
      } catch (error) {
        // Of the other zones it is known nevertheless.
        if (!(error instanceof NoSuchZone)) throw error;
        gone.push(error);
      }
    }
    if (gone.length === this.settings.zones.length) throw gone[0];
    return held;
  }

  forget(zone: string): void {
    this.read.delete(zone);
  }

  /**
   * As it stood a moment ago, which is enough for a plan.
   * @throws SpillwayError with code `owned-by-another`; without one when PowerDNS does not answer
   */
  async mustBeFree(zone: string, name: string): Promise<void> {
    let last = this.planned.get(zone);
    if (!last || Date.now() - last.at > PLAN_REREAD_MS) {
      last = { at: Date.now(), sets: this.api.zone(zone, "all").then(({ rrsets }) => byNameOf(rrsets)) };
      this.planned.set(zone, last);
      last.sets.catch(() => this.planned.delete(zone));
    }
    const sets = await last.sets;
    const marks = marksIn(sets.get(markName(name)) ?? []);
    const types = (sets.get(name) ?? []).map(({ type }) => type);
    mustBeFree(name, { marks, types }, this.settings.agent);
  }

  private async inZone(zone: string): Promise<readonly Held[]> {
    const last = this.read.get(zone);
    if (last && Date.now() - last.at < REREAD_MS) {
      const { serial } = await this.api.zone(zone, "none");
      if (serial === last.serial) return last.held;
    }
    const { serial, rrsets } = await this.api.zone(zone, "all");
    const byName = byNameOf(rrsets);
    const held: Held[] = [];
    for (const [at, sets] of byName) {
      const name = markedName(at);
      if (name === undefined || nameProblem(name) !== undefined) continue;
      const [text, ...more] = marksIn(sets);
      if (text === undefined || more.length > 0) continue;
      const reading = readMark(text, this.settings.agent);
      if (reading.kind === "ours")
        held.push({ zone, name, mark: reading.mark, sets: byName.get(name) ?? [] });
    }
    this.read.set(zone, { serial, at: Date.now(), held });
    return held;
  }
}

function byNameOf(rrsets: readonly RrSet[]): ReadonlyMap<string, readonly RrSet[]> {
  const byName = new Map<string, RrSet[]>();
  for (const set of rrsets) {
    const name = normalName(set.name);
    byName.set(name, [...(byName.get(name) ?? []), set]);
  }
  return byName;
}

/** The texts in these sets. */
export function marksIn(sets: readonly RrSet[]): readonly string[] {
  return sets
    .filter(({ type }) => type === "TXT")
    .flatMap(({ records }) => records.map(({ content }) => textOf(content)));
}

/** A mark as the content of a TXT record. */
export function markContent(mark: OwnershipMark): string {
  return characterStrings(formatMark(mark))
    .map((text) => `"${text}"`)
    .join(" ");
}

/** `"one" "two"` as one text. A mark has nothing that is escaped; what else has is no mark. */
function textOf(content: string): string {
  return [...content.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, text]) => text).join("");
}
