import { readFileSync } from "node:fs";
import { messageOf } from "../../lib/errors";
import { controlProblem } from "../local/control";

/** Where a secret is kept. It is read when it is needed, and never written, logged or shown. */
export type SecretSource =
  /** A file that holds nothing else. */
  | { readonly file: string }
  /** The name of an environment variable. */
  | { readonly environment: string };

/** Reads a secret, without white space around it. `what` names it in an error. @throws SpillwayError, without the value */
export function readSecret(source: SecretSource, what: string): string {
  if ("environment" in source) {
    const value = process.env[source.environment]?.trim();
    if (value) return value;
    throw controlProblem("invalid", {
      place: `environment variable ${source.environment}`,
      problem: `${what} is read from it, and it is ${value === undefined ? "not set" : "empty"}`,
      mend: "Set it for the agent's process, or name a file instead.",
    });
  }
  let text: string;
  try {
    text = readFileSync(source.file, "utf8");
  } catch (error) {
    throw controlProblem("invalid", {
      place: source.file,
      problem: `${what} cannot be read from it: ${messageOf(error)}`,
      mend: "Put it there, readable for the agent's user only.",
    });
  }
  const value = text.trim();
  if (value !== "") return value;
  throw controlProblem("invalid", {
    place: source.file,
    problem: `${what} is read from it, and it is empty`,
    mend: "Put it there, readable for the agent's user only.",
  });
}
