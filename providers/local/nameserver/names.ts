/** Domain names as keys: lower case, without the dot at the end. */
export function normalName(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith(".") ? lower.slice(0, -1) : lower;
}

/** Why a name cannot be one of the name server's, or undefined when it can. Wildcards are not answered. */
export function nameProblem(name: string): string | undefined {
  const normal = normalName(name);
  if (normal === "") return "it is empty";
  if (normal.length > 253) return `it has ${normal.length} characters, 253 are the most`;
  for (const label of normal.split(".")) {
    if (label === "") return "it has an empty label";
    if (label.length > 63) return `its label ${label} is longer than 63 characters`;
    if (!/^[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/.test(label))
      return `its label ${label} is not letters, digits and hyphens`;
  }
  return undefined;
}

/** `example.test` for `shop.example.test`; undefined for a name of one label. */
export function parentName(name: string): string | undefined {
  const dot = name.indexOf(".");
  return dot === -1 ? undefined : name.slice(dot + 1);
}

/** Is `name` the same as, or below, `ancestor`? Both normal. */
export function isWithin(name: string, ancestor: string): boolean {
  return name === ancestor || name.endsWith(`.${ancestor}`);
}
