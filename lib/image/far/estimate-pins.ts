import { rename, rm, writeFile, readFile } from "node:fs/promises";
import type { TransferEstimate } from "../../site/api";

/** A plan that was saved may be applied so long after it was made. */
const PIN_MS = 24 * 60 * 60_000;
/** A sender that was cut off lets go of the link within so long: what arrives until then is still the old transfer's. */
const HOLD_MS = 15_000;
/** A plan that was overtaken by such late arrivals may be applied so long after it was made; then the next plan tells anew. */
const OVERTAKEN_MS = 10 * 60_000;

interface Pin {
  readonly madeAt: number;
  readonly askedAt: number;
  /** Asked for more than once before the image was complete. */
  readonly isRepeated?: boolean;
  readonly estimate: TransferEstimate;
}

/**
 * Gives the same estimate again while the image stands still, for up to a day: Terraform plans twice in one apply and fails if the two
 * differ, and meanwhile other images may arrive, the link be measured anew, and the last segments of a transfer that was cut off
 * come in. The pin is on disk, since the agent may be started again in between.
 *
 * A plan that was made before the image was complete may be applied afterwards: another way brought it there meanwhile. Which plan asks
 * cannot be told. A pin that was asked for once by then belongs to a plan that is still to be applied, and stays for its day; one that
 * was asked for again has served its apply, most likely the one that completed the image, and the next plan tells anew.
 */
export class EstimatePins {
  constructor(
    private readonly fileOf: (digest: string) => string,
    private readonly holdMs = HOLD_MS,
  ) {}

  /** @param changedAt when something of the image last arrived, milliseconds since 1970; 0 if nothing did */
  async get(digest: string, changedAt: number, now = Date.now()): Promise<TransferEstimate | undefined> {
    const pin = await this.read(digest);
    if (!pin) return undefined;
    const ageMs = now - pin.askedAt;
    const validMs = changedAt > pin.madeAt ? OVERTAKEN_MS : PIN_MS;
    if (ageMs < 0 || ageMs >= validMs || changedAt > pin.askedAt + this.holdMs) return undefined;
    await this.write(digest, { ...pin, askedAt: now, isRepeated: true });
    return pin.estimate;
  }

  /** As {@link get}, of an image that is complete. @param completedAt milliseconds since 1970 */
  async getComplete(
    digest: string,
    completedAt: number,
    now = Date.now(),
  ): Promise<TransferEstimate | undefined> {
    const pin = await this.read(digest);
    if (!pin) return undefined;
    const isApplied = pin.isRepeated === true && pin.madeAt < completedAt;
    const ageMs = now - pin.askedAt;
    if (isApplied || ageMs < 0 || ageMs >= PIN_MS) return undefined;
    await this.write(digest, { ...pin, askedAt: now });
    return pin.estimate;
  }

  async put(digest: string, estimate: TransferEstimate, now = Date.now()): Promise<void> {
    await this.write(digest, { madeAt: now, askedAt: now, estimate });
  }

  private async read(digest: string): Promise<Pin | undefined> {
    try {
      return JSON.parse(await readFile(this.fileOf(digest), "utf8")) as Pin;
    } catch {
      return undefined;
    }
  }

  /** A pin that cannot be written (a full disk) is done without. */
  private async write(digest: string, pin: Pin): Promise<void> {
    const file = this.fileOf(digest);
    try {
      await writeFile(`${file}.new`, JSON.stringify(pin));
      await rename(`${file}.new`, file);
    } catch {
      await rm(`${file}.new`, { force: true }).catch(() => undefined);
    }
  }
}
