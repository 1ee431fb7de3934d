export { EbsService, type EbsOptions, type EbsTimeouts } from "./service";
export { snapshotError } from "./errors";
