import { characterStrings, formatMark, markedName, readMark, type OwnershipMark } from "../dns";
import { nameProblem, normalName } from "../local/nameserver/names";
import type { PowerDnsApi, RrSet } from "./api";
import type { Settings } from "./options";

/** A zone whose serial is the same is read anew after this time: not every change of a database moves it. */
const REREAD_MS = 30_000;

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

  constructor(
    private readonly api: PowerDnsApi,
    private readonly settings: Pick<Settings, "zones" | "agent">,
  ) {}

  /** @throws SpillwayError when PowerDNS does not answer */
  async all(): Promise<readonly Held[]> {
    const held: Held[] = [];
    for (const zone of this.settings.zones) held.push(...(await this.inZone(zone)));
    return held;
  }

  forget(zone: string): void {
    this.read.delete(zone);
  }

  private async inZone(zone: string): Promise<readonly Held[]> {
    const last = this.read.get(zone);
    if (last && Date.now() - last.at < REREAD_MS) {
      const { serial } = await this.api.zone(zone, "none");
      if (serial === last.serial) return last.held;
    }
    const { serial, rrsets } = await this.api.zone(zone, "all");
    const byName = new Map<string, RrSet[]>();
    for (const set of rrsets) {
      const name = normalName(set.name);
      byName.set(name, [...(byName.get(name) ?? []), set]);
    }
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
