export { checkPowerDns, type CheckResult } from "./check";
export type { HealthCheck, PowerDnsOptions, PutStep, ShiftTtl } from "./options";
export { PowerDnsNameServer } from "./powerdns-name-server";
export { putSteps } from "./steps";
