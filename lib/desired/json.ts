/** JSON that remembers where each value stands, so that a hand-edited file can be answered with line and column. */
export type JsonNode = JsonObject | JsonArray | JsonScalar;

interface Span {
  /** Offset of the first character. */
  readonly start: number;
  /** Offset after the last character. */
  readonly end: number;
}

export interface JsonMember {
  readonly key: string;
  readonly keyStart: number;
  readonly value: JsonNode;
}

export interface JsonObject extends Span {
  readonly kind: "object";
  /** In the order of the text; a key may occur twice. */
  readonly members: readonly JsonMember[];
}

export interface JsonArray extends Span {
  readonly kind: "array";
  readonly items: readonly JsonNode[];
}

export interface JsonScalar extends Span {
  readonly kind: "scalar";
  readonly value: string | number | boolean | null;
}

/** The text is not JSON. `offset` is where it stops being so. */
export class JsonSyntaxError extends Error {
  override readonly name = "JsonSyntaxError";

  constructor(
    readonly offset: number,
    message: string,
  ) {
    super(message);
  }
}

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const MAX_DEPTH = 200;

/** @throws JsonSyntaxError */
export function parseJson(text: string): JsonNode {
  let position = 0;

  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = position;
    const found = pattern.exec(text)?.[0];
    if (found !== undefined) position += found.length;
    return found;
  };
  const skipSpace = (): string => {
    take(SPACE);
    return text[position] ?? "";
  };
  const fail = (expected: string, mend = ""): never => {
    const got = position >= text.length ? "the end of the file" : `\`${text[position]}\``;
    throw new JsonSyntaxError(position, `${expected} was expected, got ${got}${mend}`);
  };

  const parseString = (expected: string): string => {
    if (text[position] !== '"') fail(expected);
    const start = position;
    const found = take(STRING);
    if (found === undefined) {
      throw new JsonSyntaxError(
        start,
        "this string does not end on its line, or holds an escape that JSON does not know",
      );
    }
    return JSON.parse(found) as string;
  };

  const parseObject = (depth: number): JsonObject => {
    const start = position++;
    const members: JsonMember[] = [];
    for (let first = true; ; first = false) {
      const next = skipSpace();
      if (next === "}" && first) break;
      const keyStart = position;
      const key = parseString("a key in double quotes");
      if (skipSpace() !== ":") fail(`\`:\` after the key "${key}"`);
      position++;
      members.push({ key, keyStart, value: parseValue(depth + 1) });
      const after = skipSpace();
      if (after === "}") break;
      if (after !== ",") fail("`,` or `}`");
      position++;
      if (skipSpace() === "}") fail("another key", "; remove the comma before it");
    }
    return { kind: "object", start, end: ++position, members };
  };

  const parseArray = (depth: number): JsonArray => {
    const start = position++;
    const items: JsonNode[] = [];
    for (let first = true; ; first = false) {
      if (skipSpace() === "]" && first) break;
      items.push(parseValue(depth + 1));
      const after = skipSpace();
      if (after === "]") break;
      if (after !== ",") fail("`,` or `]`");
      position++;
      if (skipSpace() === "]") fail("another value", "; remove the comma before it");
    }
    return { kind: "array", start, end: ++position, items };
  };

  const parseValue = (depth: number): JsonNode => {
    if (depth > MAX_DEPTH)
      throw new JsonSyntaxError(position, `values are nested more than ${MAX_DEPTH} deep`);
    const next = skipSpace();
    const start = position;
    if (next === "{") return parseObject(depth);
    if (next === "[") return parseArray(depth);
    if (next === '"') {
      const value = parseString("a value");
      return { kind: "scalar", value, start, end: position };
    }
    const literal = take(NUMBER) ?? take(WORD) ?? fail("a value");
    return { kind: "scalar", value: JSON.parse(literal) as number | boolean | null, start, end: position };
  };

  const root = parseValue(0);
  if (skipSpace() !== "") fail("the end of the file");
  return root;
}

/** The plain value of a node. */
export function valueOf(node: JsonNode): unknown {
  switch (node.kind) {
    case "scalar":
      return node.value;
    case "array":
      return node.items.map(valueOf);
    case "object":
      return Object.fromEntries(node.members.map((member) => [member.key, valueOf(member.value)]));
  }
}

/** `line:column` of an offset, both from 1. */
export function lineAndColumn(text: string, offset: number): string {
  const before = text.slice(0, offset);
  return `${before.split("\n").length}:${offset - before.lastIndexOf("\n")}`;
}
