import type { IncomingHttpHeaders } from "node:http";

/** How a service wants its requests and gives its errors. */
export type Protocol = "ec2" | "query" | "rest-xml" | "rest-json" | "json" | "cbor" | "s3";

/** One request to AWS, as its documentation would name it. */
export interface ApiCall {
  /** As in a signature: `ec2`, `autoscaling`, `elasticloadbalancing`, `route53`, `iam`, `sts`, `monitoring`, `ebs`, `s3`. */
  readonly service: string;
  /** `CreateAutoScalingGroup`; of a change of records, of one kind: `ChangeResourceRecordSets`. */
  readonly action: string;
  readonly protocol: Protocol;
  /** What it is about. Of a body in XML: the elements that hold text, by name; several values are joined by a comma. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Does it change anything? */
  readonly writes: boolean;
}

const READS = /^(Describe|Get|List|Head|Lookup|Search|Test|Validate)/;
const QUERY_SERVICES = new Set(["autoscaling", "elasticloadbalancing", "iam", "sts", "monitoring"]);

/** Tells what a request asks for. */
export function parseCall(
  method: string,
  target: string,
  headers: IncomingHttpHeaders,
  body: Buffer,
): ApiCall {
  const url = new URL(target, "http://aws");
  const service =
    /Credential=[^/]+\/\d+\/[^/]+\/([^/]+)\/aws4_request/.exec(headers.authorization ?? "")?.[1] ?? "unknown";
  const { protocol, action, parameters } = whatOf(service, method, url, headers, body);
  return { service, action, protocol, parameters, writes: !READS.test(action) };
}

function whatOf(
  service: string,
  method: string,
  url: URL,
  headers: IncomingHttpHeaders,
  body: Buffer,
): Pick<ApiCall, "protocol" | "action" | "parameters"> {
  const operation = /^\/service\/[^/]+\/operation\/(\w+)$/.exec(url.pathname)?.[1];
  if (operation) return { protocol: "cbor", action: operation, parameters: {} };
  const named = headers["x-amz-target"];
  if (typeof named === "string")
    return { protocol: "json", action: named.split(".").pop() ?? named, parameters: flatJson(body) };
  if (service === "ebs")
    return {
      protocol: "rest-json",
      ...ebs(method, url),
      parameters: { ...ebs(method, url).parameters, ...flatJson(body) },
    };
  if (service === "route53") return { protocol: "rest-xml", ...route53(method, url, body) };
  if (service === "ec2" || QUERY_SERVICES.has(service)) {
    const form = new URLSearchParams(method === "GET" ? url.search : body.toString("utf8"));
    const { Action: action = "", ...parameters } = Object.fromEntries(form);
    return { protocol: service === "ec2" ? "ec2" : "query", action, parameters };
  }
  return {
    protocol: "s3",
    action: `${method} ${url.pathname}`,
    parameters: Object.fromEntries(url.searchParams),
  };
}

function ebs(method: string, url: URL): Pick<ApiCall, "action" | "parameters"> {
  const [, , first = "", second, third] = url.pathname.split("/");
  const query = Object.fromEntries(url.searchParams);
  if (first === "completion") return { action: "CompleteSnapshot", parameters: { SnapshotId: second ?? "" } };
  if (first === "") return { action: "StartSnapshot", parameters: query };
  const parameters = { ...query, SnapshotId: first };
  if (second === "changedblocks") return { action: "ListChangedBlocks", parameters };
  if (third === undefined) return { action: "ListSnapshotBlocks", parameters };
  return {
    action: method === "PUT" ? "PutSnapshotBlock" : "GetSnapshotBlock",
    parameters: { ...parameters, BlockIndex: third },
  };
}

const ROUTE53: readonly (readonly [method: string, path: RegExp, action: string])[] = [
  ["POST", /^\/hostedzone$/, "CreateHostedZone"],
  ["GET", /^\/hostedzone$/, "ListHostedZones"],
  ["GET", /^\/hostedzonesbyname/, "ListHostedZonesByName"],
  ["GET", /^\/hostedzone\/(?<Id>[^/]+)$/, "GetHostedZone"],
  ["POST", /^\/hostedzone\/(?<Id>[^/]+)$/, "UpdateHostedZoneComment"],
  ["DELETE", /^\/hostedzone\/(?<Id>[^/]+)$/, "DeleteHostedZone"],
  ["POST", /^\/hostedzone\/(?<Id>[^/]+)\/rrset\/?$/, "ChangeResourceRecordSets"],
  ["GET", /^\/hostedzone\/(?<Id>[^/]+)\/rrset\/?$/, "ListResourceRecordSets"],
  ["GET", /^\/hostedzone\/(?<Id>[^/]+)\/dnssec\/?$/, "GetDNSSEC"],
  ["GET", /^\/change\/(?<Id>.+)$/, "GetChange"],
  ["POST", /^\/healthcheck$/, "CreateHealthCheck"],
  ["GET", /^\/healthcheck$/, "ListHealthChecks"],
  ["GET", /^\/healthcheck\/(?<Id>[^/]+)$/, "GetHealthCheck"],
  ["POST", /^\/healthcheck\/(?<Id>[^/]+)$/, "UpdateHealthCheck"],
  ["DELETE", /^\/healthcheck\/(?<Id>[^/]+)$/, "DeleteHealthCheck"],
  ["GET", /^\/healthcheck\/(?<Id>[^/]+)\/status$/, "GetHealthCheckStatus"],
  ["GET", /^\/tags\//, "ListTagsForResource"],
  ["POST", /^\/tags\//, "ChangeTagsForResource"],
];

function route53(method: string, url: URL, body: Buffer): Pick<ApiCall, "action" | "parameters"> {
  const path = url.pathname.replace(/^\/[\d-]+/, "");
  for (const [verb, pattern, action] of ROUTE53) {
    const found = verb === method ? pattern.exec(path) : null;
    if (found)
      return {
        action,
        parameters: {
          ...Object.fromEntries(url.searchParams),
          ...found.groups,
          ...textsOf(body.toString("utf8")),
        },
      };
  }
  return { action: `${method} ${path}`, parameters: Object.fromEntries(url.searchParams) };
}

function textsOf(xml: string): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const [, name = "", text = ""] of xml.matchAll(/<(\w+)>([^<]+)<\/\1>/g))
    texts[name] = texts[name] === undefined ? text : `${texts[name]},${text}`;
  return texts;
}

function flatJson(body: Buffer): Record<string, string> {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    if (typeof value !== "object" || value === null) return {};
    return Object.fromEntries(
      Object.entries(value).map(([key, part]) => [
        key,
        typeof part === "string" ? part : JSON.stringify(part),
      ]),
    );
  } catch {
    return {};
  }
}
