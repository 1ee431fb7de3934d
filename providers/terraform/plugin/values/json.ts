import type { RawJson } from "../define/resource";
import { Decimal } from "./decimal";

/**
 * JSON without loss: a number that a double does not hold exactly as written comes as bigint (whole) or {@link Decimal}.
 * @throws SyntaxError
 */
export function parseJson(text: string): RawJson {
  // A double carries 15 digits whatever they are; without a longer run of digits nothing can be lost.
  if (!/\d[\d.]{15}|\d[eE]/.test(text)) return JSON.parse(text) as RawJson;
  return new JsonReader(text).document();
}

class JsonReader {
  private at = 0;

  constructor(private readonly text: string) {}

  document(): RawJson {
    const value = this.value();
    this.space();
    if (this.at < this.text.length) this.fail();
    return value;
  }

  private value(): RawJson {
    this.space();
    switch (this.text[this.at]) {
      case "{":
        return this.object();
      case "[":
        return this.array();
      case '"':
        return this.string();
      case "t":
        return this.word("true", true);
      case "f":
        return this.word("false", false);
      case "n":
        return this.word("null", null);
      default:
        return this.number();
    }
  }

  private object(): RawJson {
    const object: { [name: string]: RawJson } = {};
    this.at += 1;
    if (this.ends("}")) return object;
    do {
      this.space();
      const name = this.string();
      this.space();
      if (this.text[this.at] !== ":") this.fail();
      this.at += 1;
      // An own property whatever its name is: "__proto__" is a key like any other.
      Object.defineProperty(object, name, {
        value: this.value(),
        enumerable: true,
        writable: true,
        configurable: true,
      });
    } while (this.goesOn("}"));
    return object;
  }

  private array(): RawJson {
    const array: RawJson[] = [];
    this.at += 1;
    if (this.ends("]")) return array;
    do array.push(this.value());
    while (this.goesOn("]"));
    return array;
  }

  private string(): string {
    const start = this.at;
    if (this.text[this.at] !== '"') this.fail();
    this.at += 1;
    while (this.text[this.at] !== '"') {
      if (this.at >= this.text.length) this.fail();
      this.at += this.text[this.at] === "\\" ? 2 : 1;
    }
    this.at += 1;
    return JSON.parse(this.text.slice(start, this.at)) as string;
  }

  private number(): RawJson {
    const pattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
    pattern.lastIndex = this.at;
    const digits = pattern.exec(this.text)?.[0];
    if (digits === undefined) return this.fail();
    this.at += digits.length;
    const exact = Decimal.of(digits);
    const number = Number(digits);
    if (
      Number.isFinite(number) &&
      Decimal.of(number).equals(exact) &&
      (!exact.isInteger || Number.isSafeInteger(number))
    ) {
      return number;
    }
    return exact.isInteger ? exact.toBigInt() : exact;
  }

  private word<T extends RawJson>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.fail();
    this.at += word.length;
    return value;
  }

  private space(): void {
    while (/[ \t\r\n]/.test(this.text[this.at] ?? "")) this.at += 1;
  }

  private ends(closing: string): boolean {
    this.space();
    if (this.text[this.at] !== closing) return false;
    this.at += 1;
    return true;
  }

  private goesOn(closing: string): boolean {
    if (this.ends(closing)) return false;
    if (this.text[this.at] !== ",") this.fail();
    this.at += 1;
    return true;
  }

  private fail(): never {
    throw new SyntaxError(`unexpected ${this.text[this.at] ?? "end"} at ${this.at} of the JSON`);
  }
}
