export { parseSshAddress, type SshAddress } from "./address";
export { shellCommand, type RemoteShell } from "./command";
export { SshTarget, type SshTargetOptions } from "./target";
