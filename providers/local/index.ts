export { clearSite } from "./clear-site";
export { localPorts, type LocalPortsOptions } from "./local-ports";
