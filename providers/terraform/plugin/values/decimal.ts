/**
 * A number kept as its decimal digits: `coefficient × 10^exponent`, without trailing zeros. Terraform's numbers have 512 bits;
 * a double has 53.
 */
export class Decimal {
  private constructor(
    readonly coefficient: bigint,
    readonly exponent: number,
  ) {}

  /** @throws RangeError if it is not a finite number in decimal or scientific notation */
  static of(value: string | number | bigint): Decimal {
    if (typeof value === "bigint") return Decimal.normal(value, 0);
    const match = /^([+-]?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,6}))?$/.exec(String(value));
    if (!match) throw new RangeError(`not a number: ${String(value)}`);
    const [, sign, whole = "", fraction = "", power = "0"] = match;
    const digits = BigInt(`${whole}${fraction}`);
    return Decimal.normal(sign === "-" ? -digits : digits, Number(power) - fraction.length);
  }

  /** Every digit of a double: 0.1 is 0.1000000000000000055511151231257827…. */
  static exactly(value: number): Decimal {
    if (!Number.isFinite(value)) throw new RangeError(`not a number: ${value}`);
    if (Number.isInteger(value)) return Decimal.normal(BigInt(value), 0);
    let halvings = 0;
    let whole = value;
    while (!Number.isInteger(whole)) {
      whole *= 2;
      halvings += 1;
    }
    return Decimal.normal(BigInt(whole) * 5n ** BigInt(halvings), -halvings);
  }

  private static normal(coefficient: bigint, exponent: number): Decimal {
    if (coefficient === 0n) return new Decimal(0n, 0);
    // Whole blocks of zeros first: a thousand-digit power of ten would otherwise take a thousand divisions.
    for (const block of [64, 8, 1]) {
      const divisor = 10n ** BigInt(block);
      while (coefficient % divisor === 0n) {
        coefficient /= divisor;
        exponent += block;
      }
    }
    return new Decimal(coefficient, exponent);
  }

  equals(other: Decimal): boolean {
    return this.coefficient === other.coefficient && this.exponent === other.exponent;
  }

  get isInteger(): boolean {
    return this.exponent >= 0;
  }

  /** The nearest double. */
  toNumber(): number {
    return Number(`${this.coefficient}e${this.exponent}`);
  }

  /** @throws RangeError if it has a fraction */
  toBigInt(): bigint {
    if (!this.isInteger) throw new RangeError(`not a whole number: ${this.toString()}`);
    return this.coefficient * 10n ** BigInt(this.exponent);
  }

  /** Plain decimal notation, without an exponent. */
  toString(): string {
    if (this.exponent >= 0) return this.toBigInt().toString();
    const sign = this.coefficient < 0n ? "-" : "";
    const digits = (this.coefficient < 0n ? -this.coefficient : this.coefficient)
      .toString()
      .padStart(1 - this.exponent, "0");
    return `${sign}${digits.slice(0, this.exponent)}.${digits.slice(this.exponent)}`;
  }

  toJSON(): string {
    return this.toString();
  }
}
