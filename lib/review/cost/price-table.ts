/**
 * What a cloud charges, as a file that anybody can write. Every figure is of the table's currency; a GB of storage is what AWS calls
 * one (2^30 bytes), a month has {@link HOURS_PER_MONTH} hours. A table may hold any part: what it lacks is looked for in the next one.
 */
export interface PriceTable {
  /** Of this format: 1. */
  readonly format: 1;
  /** The day on which the prices were looked up: `2026-01-19`. */
  readonly date: string;
  /** ISO 4217: `USD`. Tables of different currencies are never mixed. */
  readonly currency: string;
  /** Where the prices are from, for the reader of a review. @default - the file's name */
  readonly source?: string;
  readonly assumptions?: Assumptions;
  /** Prices that are the same in every region. */
  readonly everywhere?: EverywherePrices;
  /** By region: `eu-central-1`. */
  readonly regions?: Readonly<Record<string, RegionPrices>>;
}

/** What a plan cannot tell of use. What is left out is not counted, and that is said. */
export interface Assumptions {
  /** Capacity units (LCU) that each load balancer uses, on average. @default 1 */
  readonly capacityUnits?: number;
  /** GB that each load balancer sends to the internet an hour. @default - not counted */
  readonly dataOutGbPerHour?: number;
  /** Million DNS queries a month in each hosted zone of the plan. @default - not counted */
  readonly millionQueriesPerMonth?: number;
}

export interface EverywherePrices {
  /** A month of a Route 53 health check, by whether its endpoint is at AWS; an option is HTTPS, a string match, a fast interval or latency. */
  readonly healthCheckMonth?: Readonly<
    Partial<Record<"aws" | "other" | "awsOption" | "otherOption", number>>
  >;
  /** A month of a hosted zone. */
  readonly hostedZoneMonth?: number;
  readonly queriesPerMillion?: number;
  /** A month of a CloudWatch alarm of standard resolution. */
  readonly alarmMonth?: number;
  /** A month of a CloudWatch metric; detailed monitoring of an instance is 7 of them. */
  readonly metricMonth?: number;
}

export interface RegionPrices {
  /** An hour of an instance, by type: on demand, Linux, shared tenancy. */
  readonly instances?: Readonly<Record<string, number>>;
  /** By volume type: `gp3`. */
  readonly volumes?: Readonly<Record<string, VolumePrices>>;
  readonly snapshotGbMonth?: number;
  /** A thousand blocks of 512 KiB written to a snapshot. */
  readonly snapshotPutPer1000?: number;
  /** By load balancer type. */
  readonly loadBalancers?: Readonly<Partial<Record<"application" | "network" | "gateway", BalancerPrices>>>;
  /** An hour of a public IPv4 address. */
  readonly publicIpv4Hour?: number;
  /** A GB from the internet. */
  readonly dataInGb?: number;
  /** A GB to the internet. */
  readonly dataOutGb?: number;
}

export interface VolumePrices {
  readonly gbMonth?: number;
  /** A month of an IOPS; of gp3 only those above 3000 are charged. */
  readonly iopsMonth?: number;
  /** A month of a MiB/s; of gp3 only those above 125 are charged. */
  readonly throughputMonth?: number;
}

export interface BalancerPrices {
  readonly hour?: number;
  readonly capacityUnitHour?: number;
}

/** Hours in the month that prices "a month" are for, as AWS counts. */
export const HOURS_PER_MONTH = 730;
