import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SpillwayError } from "../../../lib/errors";
import { ADDRESSES, EDGES, PLACES, gatewayOf, prefixOf } from "./addresses";
import type { Line, Place } from "./options";
import { PATH } from "./requirements";

export const NAME_PREFIX = "spw-dc";
const RULE_PRIORITY = "10";

/** Names of network namespaces that no other lab has. */
export function namespaceNames(id: string): Record<Place, string> {
  return Object.fromEntries(PLACES.map((place) => [place, `${NAME_PREFIX}-${id}-${place}`])) as Record<
    Place,
    string
  >;
}

/** Where `ip netns exec` takes a namespace's own files of /etc from. */
export function etcOf(namespace: string): string {
  return join("/etc/netns", namespace);
}

/**
 * Makes the namespaces, each with a veth to the router, a default route to it, and `nameServer` as its resolver.
 * @param lines places whose way to the router somebody else makes
 */
export function makeNamespaces(
  namespaces: Readonly<Record<Place, string>>,
  nameServer: string,
  lines: readonly Place[],
): void {
  for (const namespace of Object.values(namespaces)) {
    ip("netns", "add", namespace);
    ip("-n", namespace, "link", "set", "lo", "up");
    mkdirSync(etcOf(namespace), { recursive: true });
    writeFileSync(join(etcOf(namespace), "resolv.conf"), `nameserver ${nameServer}\noptions timeout:2\n`);
  }
  setSysctl(namespaces.router, "net/ipv4/ip_forward", "1");
  for (const place of EDGES.filter((edge) => !lines.includes(edge))) {
    const [here, router] = [namespaces[place], namespaces.router];
    ip("-n", here, "link", "add", "lan0", "type", "veth", "peer", "name", place, "netns", router);
    ip("-n", here, "addr", "add", `${ADDRESSES[place]}/24`, "dev", "lan0");
    ip("-n", router, "addr", "add", `${gatewayOf(place)}/24`, "dev", place);
    ip("-n", router, "link", "set", place, "up");
    ip("-n", here, "link", "set", "lan0", "up");
    ip("-n", here, "route", "add", "default", "via", gatewayOf(place));
  }
}

/** The two sites reach each other over the line between them, with the addresses that everybody knows them by. */
export function routeOverWan(namespaces: Readonly<Record<Place, string>>): void {
  for (const [here, there] of [
    ["onprem", "cloud"],
    ["cloud", "onprem"],
  ] as const) {
    const net = `${prefixOf(ADDRESSES[there])}.0/24`;
    ip("-n", namespaces[here], "route", "add", net, "dev", "wan0", "src", ADDRESSES[here]);
  }
}

/** The clients' way out is an emulated line: its device stands at both ends. */
export function routeClientsLine(namespaces: Readonly<Record<Place, string>>): void {
  ip("-n", namespaces.clients, "route", "add", "default", "dev", "wan0", "src", ADDRESSES.clients);
  ip("-n", namespaces.router, "route", "add", `${prefixOf(ADDRESSES.clients)}.0/24`, "dev", "wan0");
}

/** More addresses for users, from .10 on. */
export function addClientAddresses(
  namespaces: Readonly<Record<Place, string>>,
  count: number,
  device: string,
): string[] {
  const addresses = Array.from({ length: count }, (_, at) => `${prefixOf(ADDRESSES.clients)}.${at + 10}`);
  const lines = addresses.map((address) => `addr add ${address}/32 dev ${device}\n`).join("");
  if (count > 0) must(["-n", namespaces.clients, "-batch", "-"], lines);
  return addresses;
}

/** Lines that the router holds, of those that are cut. */
const routed = (line: Line): line is Exclude<Line, "wan"> => line !== "wan";

/** From now on the router drops, and tells nobody, what comes from or goes to a place. */
export function setRouterCut(router: string, line: Line, isCut: boolean): void {
  if (!routed(line)) return;
  const net = `${prefixOf(ADDRESSES[line])}.0/24`;
  const verb = isCut ? "add" : "del";
  for (const side of ["from", "to"]) {
    ip("-n", router, "rule", verb, side, net, "priority", RULE_PRIORITY, "type", "blackhole");
  }
}

/** @throws SpillwayError with what `ip` says */
export function ip(...args: string[]): string {
  return must(args);
}

export function setSysctl(namespace: string, name: string, value: string): void {
  const script = `echo ${value} > /proc/sys/${name}`;
  const done = spawnSync("nsenter", [`--net=/run/netns/${namespace}`, "sh", "-c", script], {
    encoding: "utf8",
    env: { ...process.env, PATH },
  });
  if (done.status !== 0) throw refusal(`${name} cannot be set to ${value}`, done.error?.message ?? done.stderr);
}

function must(args: readonly string[], input?: string): string {
  const done = spawnSync("ip", args, { encoding: "utf8", input, env: { ...process.env, PATH } });
  if (done.status === 0) return done.stdout;
  throw refusal(`\`ip ${args.join(" ")}\` failed`, done.error?.message ?? done.stderr);
}

function refusal(what: string, said: string): SpillwayError {
  return new SpillwayError({
    place: "network namespaces",
    problem: `${what}: ${said.trim() || "no word why"}`,
    mend: "Run it as root, on a kernel with network namespaces, veth and TUN.",
  });
}
