export { openGate, type GateOpening, type GateRequest } from "./gate";
export { openObservedGate, type ObservedGateRequest } from "./observed-gate";
export { parseProbedEndpoint, PROBE_HEADER, type ProbedEndpoint } from "./probe";
export { rampWeights, type Ramp } from "./ramp";
export { directUsers, findRecord, removeRecord, sameAnswers, type DirectRequest } from "./record";
export { ShiftAhead } from "./shift-ahead";
