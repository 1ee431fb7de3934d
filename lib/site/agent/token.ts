import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import { SpillwayError, messageOf } from "../../errors";

const MIN_LENGTH = 16;

/** Compares tokens without telling by its time how much of one was right. The token itself is not kept. */
export class TokenCheck {
  private readonly digest: Buffer;

  constructor(token: string) {
    this.digest = sha256(token);
  }

  /** Does an `Authorization` header carry it? */
  allows(header: string | undefined): boolean {
    const match = /^bearer +(\S+) *$/i.exec(header ?? "");
    return match !== null && timingSafeEqual(sha256(match[1]), this.digest);
  }
}

/** @throws SpillwayError, never naming the token */
export async function readToken(from: {
  readonly token?: string;
  readonly tokenFile?: string;
}): Promise<string> {
  if (from.token !== undefined) return checked(from.token, "the agent's `token`");
  if (from.tokenFile === undefined) {
    throw problem("the agent", "it was given no token", "Give it a token or a token file.");
  }
  let text: string;
  try {
    text = await readFile(from.tokenFile, "utf8");
  } catch (error) {
    throw problem(
      from.tokenFile,
      `the token file cannot be read: ${messageOf(error)}`,
      "Write a random token of at least 16 characters into it, readable by the agent only.",
    );
  }
  return checked(text, from.tokenFile);
}

function checked(text: string, place: string): string {
  const token = text.trim();
  if (!/^[\x21-\x7e]*$/.test(token)) {
    throw problem(
      place,
      "the token is not one word of printable ASCII characters",
      "Write nothing else into it.",
    );
  }
  if (token.length < MIN_LENGTH) {
    throw problem(
      place,
      `the token has ${token.length} characters, fewer than ${MIN_LENGTH}`,
      "Take a longer one, such as the output of `openssl rand -hex 32`.",
    );
  }
  return token;
}

function problem(place: string, what: string, mend: string): SpillwayError {
  return new SpillwayError({ place, problem: what, mend });
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
