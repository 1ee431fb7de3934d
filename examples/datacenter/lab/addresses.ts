import type { Place } from "./options";

/** The same in every lab: namespaces keep them apart. */
export const ADDRESSES = {
  clients: "10.77.0.2",
  onprem: "10.77.1.2",
  cloud: "10.77.2.2",
  gslb: "10.77.3.2",
} as const satisfies Record<Exclude<Place, "router">, string>;

/** The ends of the line between onprem and cloud are .1 and .2 of it. */
export const WAN_PREFIX = "10.77.9";

export const PORTS = {
  agent: 7700,
  dns: 53,
  powerdnsApi: 8081,
  haproxyExporter: 8405,
  prometheus: 9090,
  nodeExporter: 9100,
} as const;

export const EDGES = ["clients", "onprem", "cloud", "gslb"] as const;
export const PLACES = [...EDGES, "router"] as const;

/** `10.77.1` of `10.77.1.2` */
export function prefixOf(address: string): string {
  return address.slice(0, address.lastIndexOf("."));
}

/** The router's address in the net of a place. */
export function gatewayOf(place: (typeof EDGES)[number]): string {
  return `${prefixOf(ADDRESSES[place])}.1`;
}
