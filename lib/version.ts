import { readFileSync } from "node:fs";
import { join } from "node:path";

/** This package's version. */
export const version: string = (
  JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8")) as { version: string }
).version;

/** From the sources and from `dist/` alike. */
function packageRoot(): string {
  return __dirname.endsWith(join("dist", "lib")) ? join(__dirname, "..", "..") : join(__dirname, "..");
}
