import { createCipheriv } from "node:crypto";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Progress, StepContext } from "../../../../lib/wait";

/** A directory of its own for a test, removed by `remove`. */
export function scratch(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "spillway-image-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** The same bytes for the same seed: noise, or text that packs to half. */
export function bytesOf(seed: number, length: number, kind: "noise" | "text" = "noise"): Buffer {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed, 0);
  const noise = createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(length));
  return kind === "noise" ? noise : Buffer.from(noise.toString("hex").slice(0, length), "latin1");
}

/** A small image with everything in it: noise, text, a hole, and a repeated part. */
export function mixedImage(seed: number, noiseBytes = 600_000): Buffer {
  const repeated = bytesOf(seed + 1, 80_000);
  return Buffer.concat([
    bytesOf(seed + 2, noiseBytes),
    repeated,
    bytesOf(seed + 3, 400_000, "text"),
    Buffer.alloc(300_000),
    repeated,
    bytesOf(seed + 4, 12_345),
  ]);
}

/** Writes a file that looks as if it had been there for a while, so that its index is kept. */
export function writeOld(path: string, bytes: Uint8Array): string {
  writeFileSync(path, bytes);
  const before = new Date(Date.now() - 60_000);
  utimesSync(path, before, before);
  return path;
}

/** A context that notes what it was told. */
export function listening(signal?: StepContext["signal"]): StepContext & { readonly said: Progress[] } {
  const said: Progress[] = [];
  return {
    signal: signal ?? new AbortController().signal,
    said,
    progress: (progress) => said.push(progress),
  };
}
