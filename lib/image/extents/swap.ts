import { Extents } from "./extents";
import type { Finding, Region } from "./region";

/** Of the machines that Linux runs on. */
const PAGE_BYTES = [4096, 8192, 16_384, 32_768, 65_536];

const SIGNATURE_BYTES = 10;

/** What a sleeping system writes in the place of the signature: its memory is in the swap space. */
const SUSPENDED = ["S1SUSPEND", "S2SUSPEND", "ULSUSPEND", "LINHIB0001", "\xed\xc3\x02\xe9\x98\x56\xe5\x0c"];

/**
 * Swap space of Linux (mkswap): only its first page means anything while the machine is off, which also holds its label and
 * UUID; unless a system sleeps in it. Undefined when there is none.
 */
export async function findSwap(region: Region): Promise<Finding | undefined> {
  for (const pageBytes of PAGE_BYTES) {
    const signature = await region.readUpTo(pageBytes - SIGNATURE_BYTES, SIGNATURE_BYTES);
    const text = signature.toString("latin1");
    if (SUSPENDED.some((name) => text.startsWith(name))) {
      return { kind: "swap", why: "holds the memory of a suspended system" };
    }
    if (text === "SWAP-SPACE") return { kind: "swap", why: "is of the old kind, version 0" };
    if (text !== "SWAPSPACE2") continue;
    const header = await region.read(1024, 12);
    // Written in the byte order of the machine that made it.
    const littleEndian = header.readUInt32LE(0) === 1;
    if (!littleEndian && header.readUInt32BE(0) !== 1) {
      return { kind: "swap", why: `is of version ${header.readUInt32LE(0)}, which is not known` };
    }
    const lastPage = littleEndian ? header.readUInt32LE(4) : header.readUInt32BE(4);
    const end = (lastPage + 1) * pageBytes;
    if (end > region.length) {
      return { kind: "swap", why: `is said to have ${end} bytes, more than the ${region.length} there are` };
    }
    return {
      kind: "swap",
      inUse: Extents.of([
        [0, pageBytes],
        [end, region.length],
      ]),
    };
  }
  return undefined;
}
