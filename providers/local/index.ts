export { clearSite, localPorts, type LocalPortsOptions } from "./local-ports";
