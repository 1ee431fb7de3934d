import { createWriteStream, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pipeline } from "node:stream/promises";

const { pack } = createRequire(import.meta.url)("tar-stream");

/** The member app as an image: what both sites launch, by whatever tool. */
export async function writeImage(path) {
  const archive = pack();
  const member = { command: ["node", "server.cjs"], environment: {} };
  const add = (name, body) => archive.entry({ name, mode: 0o644, mtime: new Date(0) }, body);
  add("member.json", JSON.stringify(member));
  add("server.cjs", readFileSync(new URL("../app/server.cjs", import.meta.url)));
  archive.finalize();
  await pipeline(archive, createWriteStream(path));
}
