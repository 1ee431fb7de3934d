import type { BigIntStats } from "node:fs";

/** By which a file is known to be the same as before: a change of its bytes changes one of them. */
export interface FileIdentity {
  readonly path: string;
  readonly size: bigint;
  readonly inode: bigint;
  readonly device: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

export function identityOf(path: string, stat: BigIntStats): FileIdentity {
  const { size, ino: inode, dev: device, mtimeNs, ctimeNs } = stat;
  return { path, size, inode, device, mtimeNs, ctimeNs };
}

export function sameFile(one: FileIdentity, other: FileIdentity): boolean {
  return identityText(one) === identityText(other);
}

/** One line for each thing by which a file is known. */
export function identityText(identity: FileIdentity): string {
  const { path, size, inode, device, mtimeNs, ctimeNs } = identity;
  return [path, size, inode, device, mtimeNs, ctimeNs].join("\n");
}
