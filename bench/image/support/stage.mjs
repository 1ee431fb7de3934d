import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { corpus, corpusDirectory } from "../corpus.mjs";
import { atEnd } from "./endings.mjs";
import { requireRoot, requireTools } from "./host.mjs";
import { openSide } from "./side.mjs";
import { openLink, prepareLinks } from "./wan.mjs";

/**
 * What every run needs: the images, the link's emulator, and a directory that is removed at the end.
 * @param {{rate: string, delay: string, corpus?: string, work: string}} options as given on the command line
 */
export async function prepareStage(options) {
  requireRoot("it makes network namespaces");
  requireTools(["ip", "gcc", "nsenter", "setpriv", "cmp", "dumpe2fs", "e2image", "openssl"]);
  const images = await corpus(corpusDirectory(options.corpus));
  const program = prepareLinks();
  const directory = mkdtempSync(join(options.work, "spillway-bench-"));
  atEnd(() => rmSync(directory, { recursive: true, force: true }));
  return { program, directory, corpus: images, line: { rate: options.rate, delayMs: Number(options.delay) } };
}

/**
 * Sets up a link, its two sides and a directory for `act`, and clears all of them away after it.
 * @param {({link, near, far, directory}) => Promise<T>} act
 * @returns {Promise<T>} what it returned
 */
export async function onStage(stage, name, lossPercent, act) {
  const directory = join(stage.directory, name);
  mkdirSync(directory, { mode: 0o700 });
  const link = await openLink(stage.program, { ...stage.line, lossPercent });
  const near = openSide(link.near);
  const far = openSide(link.far);
  try {
    return await act({ link, near, far, directory });
  } finally {
    near.close();
    far.close();
    await link.close();
    rmSync(directory, { recursive: true, force: true });
  }
}
