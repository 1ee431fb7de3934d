import { isIP } from "node:net";
import type { RecordAnswer, RecordStatus } from "../../../lib/site/api";
import { isWithin, parentName } from "./names";

/** The record type of an answer's address. */
export type AnswerType = "A" | "AAAA" | "CNAME";

export function answerType(answer: RecordAnswer): AnswerType {
  const version = isIP(answer.address);
  return version === 4 ? "A" : version === 6 ? "AAAA" : "CNAME";
}

/** A zone that the server is authoritative for. */
export interface Zone {
  readonly apex: string;
  /** How long a "no" may be cached. */
  readonly ttlSeconds: number;
  readonly serial: number;
}

/** What there is to say about a name and a type. */
export type Finding =
  | { readonly kind: "answers"; readonly record: RecordStatus; readonly type: AnswerType }
  | { readonly kind: "soa" | "ns"; readonly zone: Zone }
  | { readonly kind: "server-address"; readonly zone: Zone }
  | { readonly kind: "no-data" | "no-name"; readonly zone: Zone }
  | { readonly kind: "refused" };

/**
 * All names the server answers for. Each name is a zone of its own, as it is delegated to a global balancer; but an alias cannot
 * stand at a zone's apex (RFC 1034, 3.6.2), so the zone of a CNAME set is its parent.
 */
export class Zones {
  private readonly records = new Map<string, RecordStatus>();
  private readonly zones = new Map<string, Zone>();

  constructor(
    records: readonly RecordStatus[],
    /** Type of the server's own address, when it has one to give out. */
    private readonly serverType: "A" | "AAAA" | undefined,
  ) {
    for (const record of records) {
      this.records.set(record.name, record);
      const apex = typeOf(record) === "CNAME" ? (parentName(record.name) ?? record.name) : record.name;
      const other = this.zones.get(apex);
      this.zones.set(apex, {
        apex,
        ttlSeconds: Math.min(record.spec.ttlSeconds, other?.ttlSeconds ?? Infinity),
        serial: Math.max(record.serial, other?.serial ?? 0),
      });
    }
  }

  /** `name` is normal; `type` is a query type's name. */
  find(name: string, type: string): Finding {
    const zone = this.zoneOf(name);
    if (zone === undefined) return { kind: "refused" };
    if (name === zone.apex && type === "SOA") return { kind: "soa", zone };
    if (name === zone.apex && type === "NS") return { kind: "ns", zone };
    const record = this.records.get(name);
    if (record !== undefined) {
      const held = typeOf(record);
      // An alias answers every type; ANY is answered with one set (RFC 8482).
      if (held === "CNAME" || type === held || type === "ANY") return { kind: "answers", record, type: held };
      return { kind: "no-data", zone };
    }
    if (name === serverName(zone)) {
      return {
        kind: type === this.serverType || (type === "ANY" && this.serverType) ? "server-address" : "no-data",
        zone,
      };
    }
    return { kind: this.exists(name, zone) ? "no-data" : "no-name", zone };
  }

  private zoneOf(name: string): Zone | undefined {
    for (let at: string | undefined = name; at !== undefined; at = parentName(at)) {
      const zone = this.zones.get(at);
      if (zone !== undefined) return zone;
    }
    return undefined;
  }

  /** A name with something below it exists, even if it holds nothing itself (RFC 8020). */
  private exists(name: string, zone: Zone): boolean {
    if (name === zone.apex || isWithin(serverName(zone), name)) return true;
    for (const other of [...this.records.keys(), ...this.zones.keys()])
      if (isWithin(other, name)) return true;
    return false;
  }
}

/** The server's own name in a zone. */
export function serverName(zone: Zone): string {
  return `ns.${zone.apex}`;
}

function typeOf(record: RecordStatus): AnswerType {
  return answerType(record.spec.answers[0]);
}
