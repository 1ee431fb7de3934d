/** One thing that a burst needs, looked at. */
export interface Finding {
  readonly name: string;
  /** `missing`: nothing works without it. `note`: works, but read the mend. */
  readonly status: "ok" | "note" | "missing";
  readonly found: string;
  /** What to do, when the status is not ok. */
  readonly mend?: string;
}

export const ok = (name: string, found: string): Finding => ({ name, status: "ok", found });
export const note = (name: string, found: string, mend: string): Finding => ({
  name,
  status: "note",
  found,
  mend,
});
export const missing = (name: string, found: string, mend: string): Finding => ({
  name,
  status: "missing",
  found,
  mend,
});
