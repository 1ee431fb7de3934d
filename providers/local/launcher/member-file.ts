import { messageOf } from "../../../lib/errors";
import { badImage, IMAGE_FORM } from "./errors";

/** `member.json` at an image's root: how a member is started. */
export interface MemberFile {
  /** The command and its arguments, run in the image's root. `node` is the Node.js that runs the agent. */
  readonly command: readonly string[];
  /** Added to the member's environment; the pool's own wins. */
  readonly environment: Readonly<Record<string, string>>;
}

/** No `member.json` is longer. */
export const MAX_MEMBER_FILE_BYTES = 64 * 1024;

/** @throws SpillwayError naming all that is wrong with it */
export function parseMemberFile(digest: string, text: string): MemberFile {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw badImage(digest, `its \`member.json\` is not JSON: ${messageOf(error)}`, IMAGE_FORM, error);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badImage(digest, `its \`member.json\` must be an object, got ${show(value)}`, IMAGE_FORM);
  }
  const { command, environment = {}, ...rest } = value as Record<string, unknown>;
  const problems: string[] = [];
  if (
    !Array.isArray(command) ||
    command.length === 0 ||
    !command.every((word) => isPlain(word)) ||
    command[0] === ""
  ) {
    problems.push(`\`command\` must be a list of at least one string, got ${show(command)}`);
  }
  if (typeof environment !== "object" || environment === null || Array.isArray(environment)) {
    problems.push(`\`environment\` must be an object of strings, got ${show(environment)}`);
  } else {
    for (const [name, text] of Object.entries(environment)) {
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) problems.push(`\`environment\` has the name ${show(name)}`);
      if (!isPlain(text)) problems.push(`\`environment.${name}\` must be a string, got ${show(text)}`);
    }
  }
  for (const name of Object.keys(rest)) problems.push(`\`${name}\` is not known`);
  if (problems.length > 0)
    throw badImage(digest, `in its \`member.json\` ${problems.join("; ")}`, IMAGE_FORM);
  return { command: command as string[], environment: environment as Record<string, string> };
}

function isPlain(value: unknown): value is string {
  return typeof value === "string" && !value.includes("\0");
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
