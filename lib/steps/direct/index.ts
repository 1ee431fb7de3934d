export { openGate, type GateOpening, type GateRequest } from "./gate";
export { PROBE_HEADER } from "./probe";
export { rampWeights, type Ramp } from "./ramp";
export { directUsers, findRecord, removeRecord, sameAnswers, type DirectRequest } from "./record";
export { ShiftAhead } from "./shift-ahead";
