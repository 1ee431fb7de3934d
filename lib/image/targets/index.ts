/** Places that images are pushed to, beside a site's agent: a directory, and one at another machine over ssh. */
export { TargetError, type TargetErrorCode } from "./errors";
export { openImageDirectory, openServedStore, type ImageDirectory } from "./directory";
export { requireStore } from "./existing-store";
export { glanceAtDirectory } from "./glance";
export { DirectoryInUse, StoreLock } from "./store-lock";
export { serveDirectory, type ServedStore, type ServeOptions } from "./stdio/serve-directory";
export type { VerifiableTarget } from "./stdio/protocol";
export {
  parseSshAddress,
  shellCommand,
  SshTarget,
  type RemoteShell,
  type SshAddress,
  type SshTargetOptions,
} from "./ssh";
export { verifyImageFile, type VerifyOptions } from "./verify-file";
