import {
  ListHostedZonesByNameCommand,
  ListResourceRecordSetsCommand,
  Route53Client,
  type ResourceRecordSet,
} from "@aws-sdk/client-route-53";
import { ask, clientConfig } from "./clients";

/** A weighted set in Route 53. */
export interface WeightedRecord {
  /** The hosted zone's name. */
  readonly zone: string;
  readonly name: string;
}

/** Weights by set identifier, of one type of record. Pure. */
export function weightsIn(
  sets: readonly ResourceRecordSet[],
  name: string,
): Readonly<Record<string, number>> {
  const weights = sets
    .filter(
      ({ Name = "", SetIdentifier, Weight }) =>
        plain(Name) === plain(name) && SetIdentifier && Weight !== undefined,
    )
    .map(({ SetIdentifier = "", Weight = 0 }) => [SetIdentifier, Weight] as const);
  return Object.fromEntries(weights);
}

function plain(name: string): string {
  // Route 53 writes `*` as an octal escape.
  return name
    .toLowerCase()
    .replace(/\.$/, "")
    .replace(/^\\052/, "*");
}

/** Asks Route 53 what it answers with. */
export class RecordWeights {
  private readonly client: Route53Client;
  private readonly place: string;
  private zoneId: string | undefined;

  constructor(private readonly record: WeightedRecord) {
    // It is one service for all regions, and signs for this one unless told otherwise.
    this.client = new Route53Client(clientConfig("us-east-1"));
    this.place = `Route 53 zone ${record.zone}`;
  }

  close(): void {
    this.client.destroy();
  }

  /** Weights by set identifier; empty when the name is not there. Undefined: there is no such zone. @throws QueryError, AbortedError */
  async look(signal: AbortSignal): Promise<Readonly<Record<string, number>> | undefined> {
    this.zoneId ??= await this.findZone(signal);
    if (this.zoneId === undefined) return undefined;
    const { place } = this;
    const command = new ListResourceRecordSetsCommand({
      HostedZoneId: this.zoneId,
      StartRecordName: this.record.name,
      MaxItems: 100,
    });
    const { ResourceRecordSets = [] } = await ask(
      { place, action: "route53:ListResourceRecordSets", signal },
      (options) => this.client.send(command, options),
    );
    return weightsIn(ResourceRecordSets, this.record.name);
  }

  /** The public zone is the one that users ask. */
  private async findZone(signal: AbortSignal): Promise<string | undefined> {
    const command = new ListHostedZonesByNameCommand({ DNSName: this.record.zone, MaxItems: 10 });
    const { HostedZones = [] } = await ask(
      { place: this.place, action: "route53:ListHostedZonesByName", signal },
      (options) => this.client.send(command, options),
    );
    const named = HostedZones.filter(({ Name = "" }) => plain(Name) === plain(this.record.zone));
    const zone = named.find(({ Config }) => Config?.PrivateZone !== true) ?? named[0];
    return zone?.Id?.replace(/^\/hostedzone\//, "");
  }
}
