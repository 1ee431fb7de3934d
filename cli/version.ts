import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The root of this package: where package.json is, from the sources and from `dist/` alike. */
export const PACKAGE_ROOT = __dirname.endsWith(join("dist", "cli"))
  ? join(__dirname, "..", "..")
  : join(__dirname, "..");

/** This package's version. */
export const VERSION = (
  JSON.parse(readFileSync(join(PACKAGE_ROOT, "package.json"), "utf8")) as { version: string }
).version;
