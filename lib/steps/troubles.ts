import type { PoolStatus } from "../site/api";

/** What troubles a pool and its members, each thing once: `members a, b: its process died`. */
export function troublesOf({ problem, members }: PoolStatus): string[] {
  const sufferers = new Map<string, string[]>();
  for (const member of members) {
    if (member.problem !== undefined) {
      sufferers.set(member.problem, [...(sufferers.get(member.problem) ?? []), member.id]);
    }
  }
  const told = members.some((member) => problem === `member ${member.id}: ${member.problem}`);
  return [
    ...(problem === undefined || told ? [] : [problem]),
    ...[...sufferers].map(
      ([what, ids]) =>
        `${ids.length === 1 ? "member" : "members"} ${ids.join(", ")}: ${what.replace(/\.$/, "")}`,
    ),
  ];
}
