import type { SpillwayError } from "../../lib/errors";
import type { RecordSpec } from "../../lib/site/api";
import { controlProblem } from "../local/control";
import { markName, readMark, type OwnershipMark } from "./mark";

/** What stands at a name and at its mark's, as a server holds it. */
export interface Standing {
  /** Texts at the mark's name, each with its character strings joined. */
  readonly marks: readonly string[];
  /** Types that answer at the name itself. */
  readonly types: readonly string[];
}

/** A name has 253 characters at most (RFC 1035, 2.3.4), and up to 17 come before it. */
const LONGEST_NAME = 236;

/** Types that would answer beside, or instead of, a global record. */
const ANSWERING = ["A", "AAAA", "CNAME", "ALIAS", "LUA"];

/**
 * Our mark, or undefined where nothing stands: the name is free.
 * @throws SpillwayError with code `owned-by-another` when anybody else's record is there
 */
export function mustBeFree(name: string, standing: Standing, agent: string): OwnershipMark | undefined {
  const { marks, types } = standing;
  if (marks.length > 1) throw foreignMark(name, `${marks.length} texts`);
  if (marks.length === 1) {
    const reading = readMark(marks[0], agent);
    if (reading.kind === "ours") return reading.mark;
    if (reading.kind === "another") throw ownedByAnother(name, reading.agent, reading.owner);
    if (reading.kind === "newer") throw newerMark(name, reading.version);
    throw foreignMark(name, `"${reading.text.slice(0, 60)}"`);
  }
  const answering = types.filter((type) => ANSWERING.includes(type));
  if (answering.length > 0) throw unmarkedRecord(name, answering);
  return undefined;
}

/** The names beside a record's are longer than its own. @throws SpillwayError with code `invalid` */
export function mustBeMarkable(name: string): void {
  if (name.length <= LONGEST_NAME) return;
  throw controlProblem("invalid", {
    place: `record ${name}`,
    problem: `its name has ${name.length} characters, and ${LONGEST_NAME} are the most with an ownership mark before it`,
    mend: "Choose a shorter name.",
    attribute: ["name"],
  });
}

/** Also an agent that lost its state changes no record for another owner. @throws SpillwayError with code `owned-by-another` */
export function mustBeOwners(name: string, mark: OwnershipMark | undefined, { owner }: RecordSpec): void {
  if (mark !== undefined && mark.spec.owner !== owner)
    throw ownedByAnother(name, mark.agent, mark.spec.owner);
}

export function ownedByAnother(name: string, agent: string, owner: string): SpillwayError {
  return controlProblem("owned-by-another", {
    place: `record ${name}`,
    problem: `the record "${name}" belongs to "${owner}" of installation "${agent}"`,
    mend: "Choose another name, or have its owner remove it.",
    attribute: ["name"],
  });
}

function unmarkedRecord(name: string, types: readonly string[]): SpillwayError {
  return controlProblem("owned-by-another", {
    place: `record ${name}`,
    problem: `"${name}" has ${types.join(" and ")} records that Spillway did not write`,
    mend: "Choose another name, or remove them first: they are never overwritten.",
    attribute: ["name"],
  });
}

function newerMark(name: string, version: string): SpillwayError {
  return controlProblem("owned-by-another", {
    place: `record ${markName(name)}`,
    problem: `its ownership mark has version ${version}, which this Spillway does not know`,
    mend: "Use the Spillway that wrote it, or a newer one.",
    attribute: ["name"],
  });
}

function foreignMark(name: string, what: string): SpillwayError {
  return controlProblem("owned-by-another", {
    place: `record ${markName(name)}`,
    problem: `${what} stands where the ownership mark of "${name}" would be, and is none`,
    mend: "Remove it if it is nobody's, or choose another name.",
    attribute: ["name"],
  });
}
