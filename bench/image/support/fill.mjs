/** Fills a directory with files of mixed content: fill.mjs DIRECTORY FROM_MB TO_MB. */
import { createCipheriv, createHash } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";

const FILE_MB = 50;
const PART = 1e6;

const [directory, from, to] = process.argv.slice(2);
const shared = noise("shared").update(Buffer.alloc(PART));

for (let at = Number(from); at < Number(to); at += FILE_MB) {
  const file = openSync(join(directory, `${String(at).padStart(6, "0")}.data`), "w");
  const stream = noise(`${at}`);
  for (let part = 0; part < Math.min(FILE_MB, to - at); part++) writeSync(file, content(part, stream));
  closeSync(file);
}

/** Half of it is noise, a quarter text, a quarter the same in every file. */
function content(part, stream) {
  const bytes = stream.update(Buffer.alloc(PART));
  if (part % 4 === 1) return Buffer.from(bytes.toString("hex", 0, PART / 2), "latin1");
  return part % 4 === 3 ? shared : bytes;
}

function noise(seed) {
  return createCipheriv("aes-128-ctr", createHash("md5").update(seed).digest(), Buffer.alloc(16));
}
