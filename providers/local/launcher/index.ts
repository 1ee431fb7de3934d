export { LocalLauncher } from "./local-launcher";
export { IMAGE_FORM } from "./errors";
export type { MemberFile } from "./member-file";
