import { readFile, writeFile } from "node:fs/promises";
import type { LinkRate } from "./contract";
import { LinkMeter, type LinkMeasurement } from "./link-meter";

const ASSUMED_RATE_BPS = 100_000_000;

/** What is known of the link into the site: as measured, now or by a former process. */
export class Link {
  private readonly meter = new LinkMeter();
  private before: LinkMeasurement | undefined;

  /** @param path where a measurement is remembered */
  constructor(
    private readonly path: string,
    private readonly assumedRateBps = ASSUMED_RATE_BPS,
  ) {}

  async restore(): Promise<void> {
    this.before = await readFile(this.path, "utf8")
      .then((text) => asMeasurement(JSON.parse(text)))
      .catch(() => undefined);
  }

  /** @param at milliseconds, of a clock that never goes back */
  note(at: number, bytes: number, rawBytes: number): void {
    this.meter.note(at, bytes, Math.max(1, rawBytes));
  }

  get measured(): LinkMeasurement | undefined {
    return this.meter.measure() ?? this.before;
  }

  get rate(): LinkRate {
    const { measured } = this;
    return measured
      ? { rateBps: measured.rateBps, rateIs: "measured" }
      : { rateBps: this.assumedRateBps, rateIs: "assumed" };
  }

  async remember(): Promise<void> {
    const measured = this.meter.measure();
    if (!measured) return;
    this.before = measured;
    // Only a hint for later estimates: one that cannot be written is done without.
    await writeFile(this.path, JSON.stringify(measured)).catch(() => undefined);
  }
}

function asMeasurement(value: unknown): LinkMeasurement | undefined {
  const { rateBps, packedShare } = (value ?? {}) as { rateBps?: unknown; packedShare?: unknown };
  if (!isPositive(rateBps) || !isPositive(packedShare)) return undefined;
  return { rateBps, packedShare };
}

function isPositive(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(value) && value > 0;
}
