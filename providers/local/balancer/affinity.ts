import { createHash, randomBytes } from "node:crypto";

/** What a user's affinity cookie says: which member, and which user, so that one user on two connections counts once. */
export interface Affinity {
  readonly memberKey: string;
  readonly user: string;
}

/** The name of a pool's affinity cookie. Characters that a cookie's name cannot hold (RFC 6265) become `_`. */
export function cookieName(pool: string): string {
  return `SPILLWAY_${pool.replace(/[^A-Za-z0-9_-]/g, "_")}`;
}

/** A member as cookies name it: opaque, and the same after a restart of the balancer. */
export function memberKey(memberId: string): string {
  return createHash("sha256").update(`spillway member ${memberId}`).digest("hex").slice(0, 8);
}

/** A new user's id. */
export function newUser(): string {
  return randomBytes(9).toString("base64url");
}

const VALUE = /^([0-9a-f]{8})\.([A-Za-z0-9_-]{12})$/;

/** The cookie's value, or undefined when it is not one of ours. */
export function parseAffinity(value: string): Affinity | undefined {
  const match = VALUE.exec(value);
  return match === null ? undefined : { memberKey: match[1], user: match[2] };
}

/** A `Set-Cookie` value that binds a user to a member for as long as the browser runs. */
export function bindCookie(name: string, affinity: Affinity): string {
  return `${name}=${affinity.memberKey}.${affinity.user}; Path=/; HttpOnly; SameSite=Lax`;
}

/** A `Set-Cookie` value that takes the cookie away again. */
export function expireCookie(name: string): string {
  return `${name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax`;
}

/** Takes one cookie out of a `Cookie` header: its value, and the header without it (empty when nothing is left). */
export function takeCookie(header: string, name: string): { value: string | undefined; rest: string } {
  if (!header.includes(name)) return { value: undefined, rest: header };
  let value: string | undefined;
  const rest: string[] = [];
  for (const part of header.split(";")) {
    const pair = part.trim();
    const equals = pair.indexOf("=");
    if (equals !== -1 && pair.slice(0, equals).trim() === name) value ??= pair.slice(equals + 1).trim();
    else if (pair !== "") rest.push(pair);
  }
  return { value, rest: rest.join("; ") };
}
