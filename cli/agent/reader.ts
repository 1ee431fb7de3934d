import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { nearest } from "../../lib/desired/nearest";
import { messageOf, SpillwayError, throwProblems, type ProblemReport } from "../../lib/errors";
import type { SecretSource } from "../../providers/dns";

type Path = readonly (string | number)[];
type Values = Readonly<Record<string, unknown>>;

/**
 * Reads values out of a JSON file and collects all that is wrong. Each method gives `undefined` for a value that is missing or wrong,
 * and has said so; {@link ConfigReader.done} throws what was collected.
 */
export class ConfigReader {
  private readonly problems: ProblemReport[] = [];

  /** @param file what paths in it are relative to */
  constructor(readonly file: string) {}

  /** The file's object. @throws SpillwayError when it cannot be read, or is not JSON */
  read(): unknown {
    let text: string;
    try {
      text = readFileSync(this.file, "utf8");
    } catch (error) {
      throw new SpillwayError(
        {
          place: this.file,
          problem: `the configuration cannot be read: ${messageOf(error)}`,
          mend: "Name a JSON file that the agent's user may read; docs/agent.md says what is in it.",
        },
        { cause: error },
      );
    }
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      throw new SpillwayError(
        {
          place: this.file,
          problem: `the configuration is not JSON: ${placed(messageOf(error), text)}`,
          mend: "Mend it there; JSON has double quotes, no comments and no comma before a closing bracket.",
        },
        { cause: error },
      );
    }
  }

  found(path: Path, problem: string, mend: string): undefined {
    const place = path.length === 0 ? "the configuration" : `\`${pathText(path)}\``;
    this.problems.push({ place: this.file, problem: `${place} ${problem}`, mend, attribute: [...path] });
    return undefined;
  }

  /** Somebody else's finding about the value at `path`. */
  add(path: Path, { problem, mend, attribute = [] }: ProblemReport): void {
    const whole = [...path, ...attribute];
    this.problems.push({
      place: this.file,
      problem: `\`${pathText(whole)}\`: ${problem}`,
      mend,
      attribute: whole,
    });
  }

  /** How much was found. */
  get count(): number {
    return this.problems.length;
  }

  /** @throws SpillwayError, SpillwayErrors with all that was found */
  done(): void {
    throwProblems(this.problems);
  }

  /** The members of an object, of which every name must be known. */
  object(value: unknown, path: Path, known: readonly string[]): Values | undefined {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return this.found(path, `must be an object, got ${show(value)}`, "Write it as { … }.");
    }
    for (const name of Object.keys(value)) {
      if (known.includes(name)) continue;
      const meant = nearest(name, known);
      this.found(
        [...path, name],
        "is not known",
        meant === undefined ? `Known here are ${known.join(", ")}.` : `Did you mean \`${meant}\`?`,
      );
    }
    return value as Values;
  }

  text(value: unknown, path: Path, mend: string): string | undefined {
    if (typeof value === "string" && value !== "") return value;
    return this.found(path, `must be a text, got ${show(value)}`, mend);
  }

  /** A path, made absolute: relative ones are relative to the file. */
  path(value: unknown, path: Path): string | undefined {
    const text = this.text(value, path, "Name a file, relative to this one or absolute.");
    return text === undefined ? undefined : resolve(dirname(this.file), text);
  }

  choice<T extends string>(value: unknown, path: Path, choices: readonly T[]): T | undefined {
    const found = choices.find((choice) => choice === value);
    if (found !== undefined) return found;
    const meant = typeof value === "string" ? nearest(value, choices) : undefined;
    return this.found(
      path,
      `must be ${choices.map((choice) => `"${choice}"`).join(" or ")}, got ${show(value)}`,
      meant === undefined ? "Choose one of them." : `Did you mean "${meant}"?`,
    );
  }

  flag(value: unknown, path: Path): boolean | undefined {
    if (typeof value === "boolean") return value;
    return this.found(path, `must be true or false, got ${show(value)}`, "Write it without quotes.");
  }

  whole(value: unknown, path: Path, least: number, most: number): number | undefined {
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= least && value <= most)
      return value;
    return this.found(
      path,
      `must be a whole number from ${least} to ${most}, got ${show(value)}`,
      "Write it as a number, without quotes and unit.",
    );
  }

  /** `host:port`, as two. */
  endpoint(
    value: unknown,
    path: Path,
    example: string,
  ): { readonly host: string; readonly port: number } | undefined {
    const match =
      typeof value === "string" ? /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):(\d{1,5})$/.exec(value) : undefined;
    const port = Number(match?.[3]);
    if (match && port <= 65_535) return { host: match[1] ?? match[2], port };
    return this.found(path, `must be HOST:PORT, got ${show(value)}`, `For example: "${example}".`);
  }

  url(value: unknown, path: Path, example: string): string | undefined {
    if (
      typeof value === "string" &&
      URL.canParse(value) &&
      /^https?:$/.test(new URL(value).protocol) &&
      // A password in an address would be shown wherever the address is.
      new URL(value).username === ""
    )
      return value;
    const shown = typeof value === "string" && value.includes("@") ? "one with a user in it" : show(value);
    return this.found(
      path,
      `must be an http or https URL without a user, got ${shown}`,
      `For example: "${example}".`,
    );
  }

  list<T>(
    value: unknown,
    path: Path,
    item: (value: unknown, path: Path) => T | undefined,
  ): readonly T[] | undefined {
    if (!Array.isArray(value))
      return this.found(path, `must be a list, got ${show(value)}`, "Write it as [ … ].");
    if (value.length === 0) return this.found(path, "must not be empty", "Name one at least.");
    return value.flatMap((each, index) => item(each, [...path, index]) ?? []);
  }

  /** Where a secret is: never the secret, and never shown. */
  secret(value: unknown, path: Path, what: string): SecretSource | undefined {
    const mend = 'Write it as { "file": "…" } or { "environment": "…" }, and keep the secret there.';
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      return this.found(
        path,
        value === undefined
          ? `must say where ${what} is, got nothing`
          : `must say where ${what} is, got ${typeof value === "string" ? "a text, which may be the secret itself" : show(value)}`,
        mend,
      );
    }
    const { file, environment, ...others } = value as Values;
    for (const name of Object.keys(others))
      this.found([...path, name], "is not known", "Known here are file, environment.");
    if ((file === undefined) === (environment === undefined)) {
      return this.found(
        path,
        `must have one of \`file\` and \`environment\`, got ${file === undefined ? "neither" : "both"}`,
        mend,
      );
    }
    if (environment === undefined) {
      const found = this.path(file, [...path, "file"]);
      return found === undefined ? undefined : { file: found };
    }
    if (typeof environment === "string" && /^[A-Za-z_][A-Za-z0-9_]*$/.test(environment))
      return { environment };
    return this.found(
      [...path, "environment"],
      "must be the name of an environment variable, and is none",
      "Letters, digits and underscores, such as PDNS_KEY.",
    );
  }
}

/** `balancer.attach.socket`, `zones[0]` */
export function pathText(path: Path): string {
  return path
    .map((part, index) => (typeof part === "number" ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join("");
}

function show(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** Node tells the offset; people count lines. */
function placed(message: string, text: string): string {
  const at = /at position (\d+)/.exec(message)?.[1];
  if (at === undefined || message.includes("(line ")) return message;
  const before = text.slice(0, Number(at)).split("\n");
  return `${message} (line ${before.length} column ${(before.at(-1)?.length ?? 0) + 1})`;
}
