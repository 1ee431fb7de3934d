import { SpillwayError } from "../errors";

/** A pool, wherever it is. */
export interface PoolName {
  readonly site: string;
  readonly name: string;
}

/** A gate: the pool it admitted, and which of its gates it is. */
export interface GateName extends PoolName {
  readonly generation: string;
}

/** `cloud/shop` */
export function poolId(pool: PoolName): string {
  return `${pool.site}/${pool.name}`;
}

/** `cloud/shop#5f2c…` */
export function gateId(gate: GateName): string {
  return `${poolId(gate)}#${gate.generation}`;
}

/** `cloud/sha256:…` */
export function replicaId(site: string, digest: string): string {
  return `${site}/${digest}`;
}

/** Undefined if it is none. */
export function tryParsePoolId(id: string): PoolName | undefined {
  const match = /^([^/#\s]+)\/([^/#\s]+)$/.exec(id);
  return match ? { site: match[1] ?? "", name: match[2] ?? "" } : undefined;
}

/** @throws SpillwayError if it is none */
export function parsePoolId(id: string): PoolName {
  const parsed = tryParsePoolId(id);
  if (parsed) return parsed;
  throw new SpillwayError({
    place: `pool "${id}"`,
    problem: `"${id}" is not a pool's id`,
    mend: "Write SITE/NAME, or refer to the `id` of a pool.",
  });
}

/** @throws SpillwayError if it is none */
export function parseGateId(id: string): GateName {
  const [pool = "", generation = "", ...rest] = id.split("#");
  const parsed = tryParsePoolId(pool);
  if (parsed && generation !== "" && rest.length === 0) return { ...parsed, generation };
  throw new SpillwayError({
    place: `gate "${id}"`,
    problem: `"${id}" is not a gate's id`,
    mend: "Write SITE/NAME#GENERATION, or refer to the `id` of a gate.",
  });
}

/** Splits `SITE/REST` at the first slash. @throws SpillwayError if there is none, or a part is empty */
export function parseSiteAnd(id: string, what: string): { readonly site: string; readonly rest: string } {
  const at = id.indexOf("/");
  if (at > 0 && at < id.length - 1) return { site: id.slice(0, at), rest: id.slice(at + 1) };
  throw new SpillwayError({
    place: `import id "${id}"`,
    problem: `"${id}" is not an id of this kind`,
    mend: `Write it as SITE/${what}.`,
  });
}
