import { resolve } from "node:path";
import type { Readable, Writable } from "node:stream";
import { version } from "../../../version";
import { glanceAtDirectory } from "../glance";
import { PROTOCOL } from "./protocol";
import { serveConnection } from "./serve-connection";

/** Says to one near side what a directory holds, until it hangs up. Nothing is made there, and nobody kept out. */
export async function serveGlance(
  directory: string,
  line: { readonly input: Readable; readonly output: Writable },
): Promise<void> {
  const path = resolve(directory);
  const hello = { spillway: version, protocol: PROTOCOL, directory: path };
  await serveConnection(line, glanceAtDirectory(path), hello);
}
