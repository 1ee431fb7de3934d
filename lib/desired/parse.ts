import { throwProblems } from "../errors";
import type { ProblemReport } from "../errors";
import { checkParameters } from "./check";
import type { BurstShape } from "./check";
import { JsonSyntaxError, lineAndColumn, parseJson } from "./json";
import type { JsonNode, JsonObject } from "./json";
import type { DesiredParameters } from "./parameters";

/**
 * The parameters in the text of a variable file, by variable.
 *
 * With `bursts`, exactly their variables are read (one that is absent is absent from the answer: it has its default). Without, every
 * variable that looks like a burst's parameters is. Other variables are nobody's business here.
 * @param place what errors call the text: its file
 * @throws SpillwayError, or SpillwayErrors with all that is wrong, each with line and column
 */
export function parseParameters(
  text: string,
  place: string,
  bursts?: readonly BurstShape[],
): Record<string, DesiredParameters> {
  const { root } = parseVariables(text, place);
  const problems: ProblemReport[] = [];
  const parameters: Record<string, DesiredParameters> = {};
  for (const { key, value } of root.members) {
    const shape = bursts?.find((burst) => burst.variable === key);
    if (bursts ? !shape : !looksLikeParameters(value)) continue;
    const read = checkParameters(text, place, key, value, shape, problems);
    if (read) parameters[key] = read;
  }
  throwProblems(problems);
  return parameters;
}

/** The file as an object of variables, each given once. */
export function parseVariables(text: string, place: string): { root: JsonObject } {
  const at = (offset: number) => `${place}:${lineAndColumn(text, offset)}`;
  let root: JsonNode;
  try {
    root = parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonSyntaxError)) throw error;
    throwProblems([
      {
        place: at(error.offset),
        problem: `not JSON: ${error.message}`,
        mend: "Mend the file, or restore it from version control.",
      },
    ]);
    throw error;
  }
  if (root.kind !== "object") {
    const problem = "a variable file must hold an object with one key per Terraform variable";
    throwProblems([{ place: at(root.start), problem, mend: "Put `{ }` around it." }]);
    throw new Error(problem);
  }
  const seen = new Set<string>();
  const twice: ProblemReport[] = [];
  for (const { key, keyStart } of root.members) {
    if (seen.has(key)) {
      twice.push({
        place: at(keyStart),
        problem: `variable \`${key}\` is given twice`,
        mend: "Keep one of the two.",
      });
    }
    seen.add(key);
  }
  throwProblems(twice);
  return { root };
}

/** Two of its keys are enough: a burst with a misspelt key should be told so, not passed over. */
function looksLikeParameters(node: JsonNode): boolean {
  if (node.kind !== "object") return false;
  const keys = node.members.map((member) => member.key);
  return ["burst", "cloud_members", "weights"].filter((key) => keys.includes(key)).length >= 2;
}
