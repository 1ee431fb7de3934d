import { AgentError } from "./problems";

type Path = readonly (string | number)[];

interface Finding {
  readonly path: Path;
  readonly problem: string;
}

/**
 * Judges a JSON body and collects all that is wrong with it. Every method gives a value of the right type even when the body has
 * another one there, so that judging goes on; {@link Checker.done} throws when anything was found.
 */
export class Checker {
  private readonly findings: Finding[] = [];

  /** The members of an object; unknown ones are findings. */
  object(value: unknown, path: Path, known: readonly string[]): Readonly<Record<string, unknown>> {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      this.found(path, `must be an object, got ${show(value)}`);
      return {};
    }
    for (const name of Object.keys(value)) {
      if (!known.includes(name))
        this.found([...path, name], `is not known here; known are ${known.join(", ")}`);
    }
    return value as Record<string, unknown>;
  }

  text(
    value: unknown,
    path: Path,
    options: { readonly pattern?: RegExp; readonly form: string; readonly max: number },
  ): string {
    if (typeof value !== "string") {
      this.found(path, `must be ${options.form}, got ${show(value)}`);
      return "";
    }
    if (value.length > options.max) {
      this.found(path, `must have at most ${options.max} characters, got ${value.length}`);
    } else if (options.pattern && !options.pattern.test(value)) {
      this.found(path, `must be ${options.form}, got ${show(value)}`);
    }
    return value;
  }

  choice<T extends string>(value: unknown, path: Path, choices: readonly T[]): T {
    const found = choices.find((choice) => choice === value);
    if (found === undefined)
      this.found(path, `must be ${choices.map(show).join(" or ")}, got ${show(value)}`);
    return found ?? choices[0];
  }

  number(value: unknown, path: Path, min: number, max: number): number {
    if (typeof value !== "number" || !(value >= min && value <= max)) {
      this.found(path, `must be a number from ${min} to ${max}, got ${show(value)}`);
      return min;
    }
    return value;
  }

  whole(value: unknown, path: Path, min: number, max: number): number {
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < min || value > max) {
      this.found(path, `must be a whole number from ${min} to ${max}, got ${show(value)}`);
      return min;
    }
    return value;
  }

  flag(value: unknown, path: Path): boolean {
    if (typeof value !== "boolean") this.found(path, `must be true or false, got ${show(value)}`);
    return value === true;
  }

  share(value: unknown, path: Path): number {
    if (typeof value !== "number" || !(value >= 0 && value <= 1)) {
      this.found(path, `must be a number from 0 to 1, got ${show(value)}`);
      return 0;
    }
    return value;
  }

  list(value: unknown, path: Path, min: number, max: number): readonly unknown[] {
    if (!Array.isArray(value)) {
      this.found(path, `must be a list, got ${show(value)}`);
      return [];
    }
    if (value.length < min) this.found(path, `must have at least ${min}, got ${value.length}`);
    if (value.length > max) this.found(path, `must have at most ${max}, got ${value.length}`);
    return value.slice(0, max);
  }

  found(path: Path, problem: string): void {
    this.findings.push({ path, problem });
  }

  /** True while nothing was found: what compares several members with one another is only worth it then. */
  get clean(): boolean {
    return this.findings.length === 0;
  }

  /** @throws AgentError `invalid` with all findings */
  done(place: string): void {
    if (this.findings.length === 0) return;
    const told = this.findings.slice(0, 20).map(({ path, problem }) => `\`${nameOf(path)}\` ${problem}`);
    if (this.findings.length > told.length) told.push(`and ${this.findings.length - told.length} more`);
    const several = this.findings.length > 1;
    throw new AgentError("invalid", {
      place,
      problem: told.join("; "),
      mend: several ? "Correct these and send it again." : "Correct it and send it again.",
      attribute: several ? undefined : this.findings[0].path,
    });
  }
}

/** A value received, short enough for a message. */
export function show(value: unknown): string {
  if (value === undefined) return "nothing";
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function nameOf(path: Path): string {
  if (path.length === 0) return "body";
  return path
    .map((part, index) => (typeof part === "number" ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join("");
}
