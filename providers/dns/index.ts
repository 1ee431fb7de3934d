export { formatHostPort, isLoopback, parseHostPort, type HostPort } from "./address";
export { ask, exchangeTcp, NoAnswer, rcodeOf, type DnsAnswer, type Question } from "./ask";
export {
  characterStrings,
  formatMark,
  isMark,
  markedName,
  markName,
  MARK_LABEL,
  MARK_VERSION,
  readMark,
  type MarkReading,
  type OwnershipMark,
} from "./mark";
export { mustBeFree, mustBeMarkable, mustBeOwners, ownedByAnother, type Standing } from "./ownership";
export { Findings, refusalOf } from "./planned";
export { serialReached, untilSecondariesHave, zoneSerial } from "./secondaries";
export { Zones, type ServerLook } from "./zones";
export { readSecret, type SecretSource } from "./secret";
export {
  instanceOf,
  isOwnInstance,
  isSameInstance,
  mustBeOwnInstance,
  type Instance,
  type InstanceSource,
} from "./instance";
