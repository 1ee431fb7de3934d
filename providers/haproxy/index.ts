export { checkConfigurationText, type Findings } from "./configuration-check";
export { diagnoseHaproxy, type Diagnosis } from "./doctor";
export { HaproxyBalancer, type AttachOptions, type HaproxyOptions } from "./haproxy-balancer";
export { observation, observeHaproxy, type HaproxyObservation, type Observed } from "./observe";
export { parseStat, type StatRow } from "./parse";
export { RuntimeClient, RuntimeRefusal, RuntimeSilence, type RuntimeSocket } from "./runtime-client";
export { isExporter, type HaproxySettings } from "./settings";
export { poolStanza, type StanzaPool } from "./stanza";
