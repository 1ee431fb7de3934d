import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { controlProblem } from "../local/control";
import type { OwnershipMark } from "./mark";

/**
 * Which agent of an installation's name writes: a configuration that was copied makes two of one name. Made once, and kept in the
 * agent's state folder.
 */
export type InstanceSource = string | { readonly file: string };

/** Who may change records that bear the installation's name. */
export interface Instance {
  /** @default - marks tell of no instance, and none is asked for */
  readonly instance?: InstanceSource;
  /**
   * Records that another instance of this installation wrote are taken over: this agent's state was lost, and no other agent of the
   * name is left.
   * @default false
   */
  readonly takeOver?: boolean;
}

/** The identity itself; made when there is none yet. */
export function instanceOf({ instance }: Instance): string | undefined {
  if (instance === undefined || typeof instance === "string") return instance;
  const made = randomBytes(8).toString("hex");
  try {
    writeFileSync(instance.file, `${made}\n`, { flag: "wx", mode: 0o600 });
    return made;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return readFileSync(instance.file, "utf8").trim();
  }
}

/** May this agent change the record? A mark without an instance is of before there were any. */
export function isOwnInstance({ instance }: OwnershipMark, own: Instance): boolean {
  return own.takeOver === true || isSameInstance(instance, own);
}

/** Wrote this very agent it, as far as is told? */
export function isSameInstance(instance: string | undefined, own: Instance): boolean {
  if (instance === undefined || own.instance === undefined) return true;
  return instance === instanceOf(own);
}

/** @throws SpillwayError with code `owned-by-another` */
export function mustBeOwnInstance(name: string, mark: OwnershipMark | undefined, own: Instance): void {
  if (mark === undefined || isOwnInstance(mark, own)) return;
  throw controlProblem("owned-by-another", {
    place: `record ${name}`,
    problem: `the record "${name}" was written by another agent of installation "${mark.agent}" (instance ${mark.instance ?? ""}, this one is ${instanceOf(own) ?? ""})`,
    mend: "Answers stay as they are. If two agents run with one `nameServer.agent`, rename one. If this agent lost its state folder and no other runs, set `nameServer.takeOver` to true and restart it.",
    attribute: ["name"],
  });
}
