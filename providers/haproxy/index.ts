export { HaproxyBalancer, type AttachOptions, type HaproxyOptions } from "./haproxy-balancer";
export { poolStanza, type StanzaPool } from "./stanza";
export type { HaproxySettings } from "./settings";
