import { Token } from "cdktf";
import { isHostName } from "../../../lib/constructs/site";
import { refuse, rule, textRule } from "../../../lib/constructs/validate";

export interface HostedZoneAttributes {
  /** `Z0123456789ABCDEFGHIJ` */
  readonly zoneId: string;
  /** `example.com` */
  readonly zoneName: string;
}

/**
 * A zone of Route 53 that is there already. A value, not a resource.
 *
 * @example
 * const zone = HostedZone.fromAttributes({ zoneId: "Z0123456789ABCDEFGHIJ", zoneName: "example.com" });
 */
export class HostedZone {
  readonly zoneId: string;
  /** Without a dot at its end, in lower case. */
  readonly zoneName: string;

  /** @throws SpillwayError, SpillwayErrors on a bad attribute. The id may be a token. */
  static fromAttributes(attributes: HostedZoneAttributes): HostedZone {
    return new HostedZone(attributes);
  }

  private constructor({ zoneId, zoneName }: HostedZoneAttributes) {
    refuse("HostedZone", [
      textRule("zoneId", zoneId, "Give the zone's id, as Route 53 shows it."),
      rule(
        !Token.isUnresolved(zoneName) && isHostName(zoneName),
        "zoneName",
        `must be a plain domain name, got ${JSON.stringify(zoneName)}`,
        "Write it as example.com: names of records are checked against it.",
      ),
    ]);
    this.zoneId = zoneId;
    this.zoneName = plainName(zoneName);
  }

  /** Does a record of that name belong into it? */
  holds(name: string): boolean {
    const plain = plainName(name);
    return plain === this.zoneName || plain.endsWith(`.${this.zoneName}`);
  }
}

/** @internal */
export function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}
