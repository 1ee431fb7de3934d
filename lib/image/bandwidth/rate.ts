import { SpillwayError, type ProblemReport } from "../../errors";

/** What a link may carry: bits per second, all that it takes (`none`), or nothing for now (`off`). */
export type Cap = number | "none" | "off";

const MULTIPLE: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9 };
const BINARY_MULTIPLE: Readonly<Record<string, number>> = { k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };
const RATE = /^(\d+(?:\.\d+)?|\.\d+)\s*([kmg]?)(i?)(bits?|bytes?|b)(?:\/s|\/sec|ps)?$/i;
const WITHOUT_UNIT = /^(\d+(?:\.\d+)?)\s*([kmg]?)$/i;
const UNLIMITED = ["unlimited", "none"];
const SLOWEST_BPS = 1_000;
const FASTEST_BPS = 1e12;

/** A cap, or what is wrong with the text. */
export type ParsedCap = { readonly cap: Cap } | { readonly problem: Omit<ProblemReport, "place"> };

/**
 * A rate as people write it: `20Mbit`, `1.5 Mbit/s`, `800kbps` (bits: `b`), `2MB/s`, `512KiB/s` (bytes: `B`), `unlimited` or
 * `none`, `off`. Prefixes are decimal, with an `i` binary.
 */
export function tryParseCap(text: string): ParsedCap {
  const plain = text.trim();
  const word = plain.toLowerCase();
  if (word === "off") return { cap: "off" };
  if (UNLIMITED.includes(word)) return { cap: "none" };
  const match = RATE.exec(plain);
  if (!match) return { problem: notARate(text) };
  const [, amount = "", prefix = "", binary, unit = ""] = match;
  const multiple = (binary ? BINARY_MULTIPLE : MULTIPLE)[prefix.toLowerCase()];
  if (multiple === undefined) return { problem: notARate(text) };
  // Only the single letter tells by its case: Mb is megabits, MB megabytes.
  const isBytes = unit === "B" || /^bytes?$/i.test(unit);
  const bps = Math.round(Number(amount) * multiple * (isBytes ? 8 : 1));
  if (bps >= SLOWEST_BPS && bps <= FASTEST_BPS) return { cap: bps };
  return {
    problem: {
      problem: `the rate ${JSON.stringify(text)} is ${bps} bits per second, outside of 1 kbit/s to 1 Tbit/s`,
      mend: "To stop for a while, give `off`; to have no limit, `unlimited`.",
    },
  };
}

/** @param place where the text is from, for the error @throws SpillwayError */
export function parseCap(text: string, place: string): Cap {
  const parsed = tryParseCap(text);
  if ("cap" in parsed) return parsed.cap;
  throw new SpillwayError({ place, ...parsed.problem });
}

/** A cap as a person reads it, and as {@link parseCap} takes it back: `20 Mbit/s`, `unlimited`, `off`. */
export function formatCap(cap: Cap): string {
  if (cap === "none") return "unlimited";
  if (cap === "off") return "off";
  const [unit, size] =
    cap >= 1e9 ? ["Gbit/s", 1e9] : cap >= 1e6 ? ["Mbit/s", 1e6] : cap >= 1e3 ? ["kbit/s", 1e3] : ["bit/s", 1];
  return `${Number((cap / size).toFixed(9))} ${unit}`;
}

function notARate(text: string): Omit<ProblemReport, "place"> {
  const withoutUnit = WITHOUT_UNIT.exec(text.trim());
  if (withoutUnit) {
    const [, amount, prefix] = withoutUnit;
    return {
      problem: `the rate ${JSON.stringify(text)} does not say whether it counts bits or bytes`,
      mend: `Write ${amount}${prefix}bit for bits per second, or ${amount}${prefix}B for bytes.`,
    };
  }
  return {
    problem: `${JSON.stringify(text)} is not a rate`,
    mend: "Write it as 20Mbit, 1.5 Mbit/s or 2MB/s; `unlimited` is no limit, `off` stops the transfer.",
  };
}
