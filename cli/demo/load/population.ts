import type { LoadOptions, UserKind } from "./options";

/** What kind of user each one is. */
export interface UserPlan {
  readonly kind: UserKind;
  readonly ignoresTtl: boolean;
}

/** The users of a run: both habits spread evenly, and those who keep old answers spread evenly over both kinds. */
export function planUsers(
  options: Pick<LoadOptions, "users" | "keepAliveShare" | "ttlIgnoringShare">,
): readonly UserPlan[] {
  const { users = 100, keepAliveShare = 0.5, ttlIgnoringShare = 0.1 } = options;
  const ofKind = { "keep-alive": 0, "per-request": 0 };
  return Array.from({ length: users }, (_, index) => {
    const kind = isTurn(index, keepAliveShare) ? "keep-alive" : "per-request";
    return { kind, ignoresTtl: isTurn(ofKind[kind]++, ttlIgnoringShare) };
  });
}

/** True for `share` of all indices, spread as evenly as can be. The small addend keeps 10 x 0.1 from falling short of 1. */
function isTurn(index: number, share: number): boolean {
  return Math.floor((index + 1) * share + 1e-9) > Math.floor(index * share + 1e-9);
}
