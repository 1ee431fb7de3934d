/** Text that is safe inside an element and inside a quoted attribute. */
export function escapeText(value: string): string {
  return value
    .replace(/&/g, "&amp;")
    .replace(/</g, "&lt;")
    .replace(/>/g, "&gt;")
    .replace(/"/g, "&quot;")
    .replace(/'/g, "&#39;");
}

/** A number as people read it: `41,233`, `0.4`; a dash for what is not a number. */
export function formatNumber(value: number, digits = 0): string {
  if (!Number.isFinite(value)) return "–";
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** A time of the run: `0:07`, `1:52`, `1:02:09`. */
export function formatClock(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60];
  const hours = Math.floor(seconds / 3_600);
  const [minutes, rest] = parts.map((part) => String(part).padStart(2, "0"));
  return hours > 0 ? `${hours}:${minutes}:${rest}` : `${parts[0]}:${rest}`;
}

/** A coordinate, short: three decimals at most. Never NaN or Infinity in a drawing. */
export function coordinate(value: number): string {
  return Number.isFinite(value) ? String(Math.round(value * 1_000) / 1_000) : "0";
}

/** A row of cells, already escaped. `numeric` columns are aligned to the right. */
export function tableRow(cells: readonly string[], numeric: ReadonlySet<number> = new Set()): string {
  return `<tr>${cells.map((cell, index) => `<td${numeric.has(index) ? ' class="number"' : ""}>${cell}</td>`).join("")}</tr>`;
}

/** A table in a box that scrolls sideways by itself when the page is narrow. `compact`: no wider than its cells need. */
export function table(
  caption: string,
  heads: readonly string[],
  rows: readonly string[],
  numeric: ReadonlySet<number> = new Set(),
  compact = false,
): string {
  const head = heads
    .map(
      (text, index) =>
        `<th scope="col"${numeric.has(index) ? ' class="number"' : ""}>${escapeText(text)}</th>`,
    )
    .join("");
  return `<div class="scroll"><table${compact ? ' class="compact"' : ""}><caption>${escapeText(caption)}</caption><thead><tr>${head}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
}
