import { rename, rm, writeFile, readFile } from "node:fs/promises";
import type { TransferEstimate } from "../site/api";
import type { LinkRate } from "./contract";
import type { LinkMeasurement } from "./link-meter";

/** A plan that was saved may be applied so long after it was made. */
const PIN_MS = 24 * 60 * 60_000;

interface Pin {
  readonly at: number;
  readonly ownBytes: number;
  readonly estimate: TransferEstimate;
}

/** What sending so much would take at that rate. */
export function estimateOf(
  totalBytes: number,
  sendBytes: number,
  rate: LinkRate,
  measured: LinkMeasurement | undefined,
): TransferEstimate {
  const packedBytes = sendBytes * Math.min(1, measured?.packedShare ?? 1);
  return {
    totalBytes,
    presentBytes: totalBytes - sendBytes,
    sendBytes,
    etaMs: Math.ceil((packedBytes * 8_000) / rate.rateBps),
    rateBps: rate.rateBps,
    rateIs: rate.rateIs,
  };
}

/**
 * Gives the same estimate again while nothing of the image itself has arrived or gone, for up to a day: Terraform plans twice in one
 * apply and fails if the two differ, and meanwhile other images may arrive and the link be measured anew. The pin is on disk, since
 * the agent may be started again in between.
 */
export class EstimatePins {
  constructor(private readonly fileOf: (digest: string) => string) {}

  async get(digest: string, ownBytes: number, now = Date.now()): Promise<TransferEstimate | undefined> {
    try {
      const pin = JSON.parse(await readFile(this.fileOf(digest), "utf8")) as Pin;
      const isAge = now - pin.at >= 0 && now - pin.at < PIN_MS;
      return isAge && pin.ownBytes === ownBytes ? pin.estimate : undefined;
    } catch {
      return undefined;
    }
  }

  /** A pin that cannot be written (a full disk) is done without. */
  async put(digest: string, ownBytes: number, estimate: TransferEstimate, now = Date.now()): Promise<void> {
    const file = this.fileOf(digest);
    const pin: Pin = { at: now, ownBytes, estimate };
    try {
      await writeFile(`${file}.new`, JSON.stringify(pin));
      await rename(`${file}.new`, file);
    } catch {
      await rm(`${file}.new`, { force: true }).catch(() => undefined);
    }
  }

  async drop(digest: string): Promise<void> {
    await rm(this.fileOf(digest), { force: true });
  }
}
