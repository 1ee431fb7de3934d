export type { DesiredParameters } from "./parameters";
export type { BurstShape } from "./check";
export { parseParameters } from "./parse";
export { readParameters, writeParameters } from "./file";
export { renderParameters, sameParameters } from "./render";
export { quietParameters } from "./quiet";
