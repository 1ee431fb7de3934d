import type { PrivateState } from "../define";
import type { Json } from "../schema";

/** Private notes as Terraform stores them: one JSON object in opaque bytes. */
export class PrivateNotes implements PrivateState {
  private readonly notes: Map<string, Json>;
  private changed = false;

  /** Bytes that are not a JSON object (another provider's, after a move) count as none. */
  constructor(private readonly stored: Uint8Array) {
    this.notes = new Map(Object.entries(parse(stored)));
  }

  get(key: string): Json | undefined {
    return this.notes.get(key);
  }

  set(key: string, value: Json | undefined): void {
    this.changed = true;
    if (value === undefined) this.notes.delete(key);
    else this.notes.set(key, value);
  }

  /** What to store: the very same bytes if nothing was set. */
  bytes(): Uint8Array {
    if (!this.changed) return this.stored;
    return this.notes.size === 0
      ? new Uint8Array(0)
      : Buffer.from(JSON.stringify(Object.fromEntries(this.notes)));
  }
}

function parse(stored: Uint8Array): Record<string, Json> {
  if (stored.length === 0) return {};
  try {
    const value = JSON.parse(Buffer.from(stored).toString("utf8")) as unknown;
    return value !== null && typeof value === "object" && !Array.isArray(value)
      ? (value as Record<string, Json>)
      : {};
  } catch {
    return {};
  }
}
