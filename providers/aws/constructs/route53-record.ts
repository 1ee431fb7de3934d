import { Token } from "cdktf";
import type { Construct } from "constructs";
import type { BuiltRecord, RecordPlan, RecordPlatform } from "../../../lib/constructs/burst-platform";
import type { IPool } from "../../../lib/constructs/pool";
import type { Rule } from "../../../lib/constructs/validate";
import { AwsGlobalRecord, answerRulesOf, oneTypeRule, tuningRules } from "./aws-global-record";
import type { AwsRecordAnswer, AwsRecordTuning } from "./aws-global-record";
import { addressOf } from "./reference";
import type { Route53Health } from "./route53-health";

/** What the alias of a load balancer is answered with; nobody can change it. */
const ALIAS_TTL_SECONDS = 60;

export interface Route53RecordProps extends AwsRecordTuning {
  /**
   * How Route 53 judges home.
   * @default - at home's port, as home's monitor asks
   */
  readonly homeHealthCheck?: Route53Health | false;
}

/**
 * A burst's record in Route 53. A value, not a resource: the burst makes an {@link AwsGlobalRecord} of it.
 *
 * @example
 * record: new Route53Record({ zone, name: "shop.example.com" })
 */
export class Route53Record implements RecordPlatform<AwsGlobalRecord> {
  readonly name: string;
  readonly ttlSeconds: number;

  constructor(private readonly props: Route53RecordProps) {
    this.name = props.name;
    const { ttlSeconds = ALIAS_TTL_SECONDS } = props;
    this.ttlSeconds = Token.isUnresolved(ttlSeconds) ? ttlSeconds : Math.max(ttlSeconds, ALIAS_TTL_SECONDS);
  }

  recordRules(home: IPool): readonly Rule[] {
    const answer = this.homeAnswer(home, 100);
    return [
      ...tuningRules(this.props),
      ...answerRulesOf(answer, "home"),
      oneTypeRule("home", [
        answer,
        { site: "the cloud", weight: 100, balancer: { dnsName: "", zoneId: "" } },
      ]),
    ];
  }

  buildRecord(scope: Construct, { home, cloud }: RecordPlan): BuiltRecord<AwsGlobalRecord> {
    const { homeHealthCheck: _, ...tuning } = this.props;
    const record = new AwsGlobalRecord(scope, "record", {
      ...tuning,
      answers: [
        this.homeAnswer(home.pool, home.weight),
        {
          site: cloud.site,
          weight: cloud.weight,
          balancer: cloud.balancer,
          gate: cloud.gate,
          when: cloud.when,
        },
      ],
    });
    return {
      record,
      manifest: {
        zone: this.props.zone.zoneName,
        homeIdentifier: home.site,
        cloudIdentifier: cloud.site,
      },
      addresses: {
        record: addressOf(record.records[home.site]!),
        cloudRecord: addressOf(record.records[cloud.site]!),
      },
    };
  }

  private homeAnswer(home: IPool, weight: number): AwsRecordAnswer {
    const { settings, site } = home;
    return {
      site: site.name,
      weight,
      address: site.address,
      healthCheck: this.props.homeHealthCheck ?? {
        port: home.port,
        monitor: settings.monitor,
      },
    };
  }
}
