/** Names that Terraform keeps for itself. */
const RESERVED = ["source", "version", "providers", "count", "for_each", "lifecycle", "depends_on", "locals"];

/** The Terraform variable of a burst: its name, as far as Terraform takes it. */
export function variableOf(burstName: string): string {
  const name = burstName.replaceAll("-", "_");
  return RESERVED.includes(name) ? `${name}_burst` : name;
}
