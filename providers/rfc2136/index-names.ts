import type { RecordStatus } from "../../lib/site/api";
import { zoneSerial, type OwnershipMark } from "../dns";
import { normalName } from "../local/nameserver/names";
import { indexNames } from "./changes";
import { serverSilent } from "./errors";
import { askPrimary, markTexts, ownMarkIfAny } from "./look";
import type { Settings } from "./options";

/** Questions that are under way at once. */
const AT_ONCE = 32;

/** All records of this installation, found by the index that each update keeps, and read anew when the zone's serial moved. */
export class Index {
  private readonly read = new Map<
    string,
    { readonly serial: number; readonly held: readonly RecordStatus[] }
  >();

  constructor(private readonly settings: Settings) {}

  /** @throws SpillwayError when the server does not answer */
  async all(
    statusOf: (name: string, mark: OwnershipMark) => Promise<RecordStatus>,
  ): Promise<readonly RecordStatus[]> {
    const all: RecordStatus[] = [];
    let gone = 0;
    for (const zone of this.settings.zones) {
      const held = await this.inZone(zone, statusOf);
      // It says that it has no such zone: of the others it is known nevertheless.
      if (held === undefined) gone += 1;
      else all.push(...held);
    }
    if (gone === this.settings.zones.length)
      throw serverSilent(
        this.settings.server,
        `it has no serial of zone ${this.settings.zones[0]}`,
        undefined,
      );
    return all;
  }

  /** The zone is being changed by us. */
  forget(zone: string): void {
    this.read.delete(zone);
  }

  private async inZone(
    zone: string,
    statusOf: (name: string, mark: OwnershipMark) => Promise<RecordStatus>,
  ): Promise<readonly RecordStatus[] | undefined> {
    const { server, agent, requestMs } = this.settings;
    const serial = await zoneSerial(server, zone, requestMs).catch((error: unknown) => {
      throw serverSilent(server, String(error), error);
    });
    if (serial === undefined) return undefined;
    const last = this.read.get(zone);
    if (last && last.serial === serial) return last.held;
    const names = (
      await inTurns(indexNames(agent, zone), async (at) => {
        const { answers } = await askPrimary(server, { name: at, type: "PTR", timeoutMs: requestMs });
        return (answers ?? []).flatMap((record) => (record.type === "PTR" ? [normalName(record.data)] : []));
      })
    ).flat();
    const found = await inTurns(names, async (name) => {
      const mark = ownMarkIfAny(await markTexts(server, name, requestMs), agent);
      return mark && statusOf(name, mark);
    });
    const held = found.filter((status) => status !== undefined);
    // One that is not answered as declared may be so for a moment only, which no serial tells.
    if (held.every(({ spec }) => spec.answers.length > 0)) this.read.set(zone, { serial, held });
    return held;
  }
}

/** So many at once, no more. */
async function inTurns<T, R>(things: readonly T[], work: (thing: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = [];
  for (let at = 0; at < things.length; at += AT_ONCE)
    results.push(...(await Promise.all(things.slice(at, at + AT_ONCE).map(work))));
  return results;
}
