/** How an image store is opened. */
export interface ImageStoreOptions {
  /** The directory of the store's files (`<stateDir>/images`); made when missing. One process at a time. */
  readonly directory: string;
  /** The site's name, for errors. @default - no site's, but a directory of images without an agent */
  readonly site?: string;
  /** Names of the pools that use an image; one in use is not deleted. @default nobody */
  readonly usedBy?: (digest: string) => readonly string[];
  /**
   * An estimate given within so long before the image changed is given again: a cut-off sender's last segments come in after the next
   * plan was made.
   * @default 15000
   */
  readonly estimateHoldMs?: number;
  /** The rate told while none was measured, bits per second. @default 100000000 */
  readonly assumedRateBps?: number;
}

/** The link into a site, as its store measured it. */
export interface LinkRate {
  /** Bits per second. */
  readonly rateBps: number;
  readonly rateIs: "measured" | "assumed";
}
