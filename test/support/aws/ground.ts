import { request } from "./ask";
import { REGION } from "./moto";
import { elements, parseXml, textAt } from "./xml";

/** What is there before a burst is written: a network, and a zone. */
export interface Ground {
  readonly vpcId: string;
  readonly subnetIds: readonly string[];
  readonly zoneId: string;
  /** Without a dot at the end. */
  readonly zoneName: string;
}

/** The default network of the account, and a new zone in it. */
export async function makeGround(
  endpoint: string,
  { zoneName = "example.com", region = REGION }: { zoneName?: string; region?: string } = {},
): Promise<Ground> {
  const ec2 = async (action: string) =>
    parseXml(await request(endpoint, "ec2", { Action: action, Version: "2016-11-15" }, "/", region));
  const vpcId = textAt(await ec2("DescribeVpcs"), "vpcSet", "vpcId");
  const subnetIds = elements(await ec2("DescribeSubnets"), "subnetId").map(({ text }) => text);
  const made = await request(
    endpoint,
    "route53",
    `<CreateHostedZoneRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Name>${zoneName}.</Name><CallerReference>ground</CallerReference></CreateHostedZoneRequest>`,
    "/2013-04-01/hostedzone",
  );
  const zoneId = textAt(parseXml(made), "HostedZone", "Id").replace("/hostedzone/", "");
  return { vpcId, subnetIds: subnetIds.slice(0, 2), zoneId, zoneName };
}
