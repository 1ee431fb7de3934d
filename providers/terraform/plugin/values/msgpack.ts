import { UNKNOWN } from "../schema";
import { Decimal } from "./decimal";
import type { Raw, RawObject } from "./raw";

/*
 * MessagePack as Terraform speaks it. Not a library's, for the sake of numbers: Terraform compares two numbers by their shortest
 * decimal digits *at the precision they came with*, and a double that goes back as a double has 53 bits where the configuration's
 * own value had 512. So a double must be turned into all its digits the moment it is read, which no library offers.
 */

/** @throws RangeError if the bytes are not one whole value */
export function unpack(bytes: Uint8Array): Raw {
  const reader = new Unpacker(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const value = reader.value();
  reader.end();
  return value;
}

export function pack(raw: Raw): Uint8Array {
  packer.reset();
  packer.value(raw);
  return packer.bytes();
}

/**
 * A value that did not change, as Terraform sent it: its order of sets and its form of numbers stay. Packed anew if there might be
 * a double in it (see above).
 */
export function unchanged(sent: Uint8Array, raw: Raw): Uint8Array {
  return sent.includes(CODE.float64) || sent.includes(CODE.float32) ? pack(raw) : sent;
}

/** A null of any type. */
export const NULL_BYTES: Uint8Array = Uint8Array.of(0xc0);

export function isNullBytes(bytes: Uint8Array): boolean {
  return bytes.length === 0 || (bytes.length === 1 && bytes[0] === CODE.nil);
}

const CODE = {
  fixmap: 0x80,
  fixarray: 0x90,
  fixstr: 0xa0,
  nil: 0xc0,
  false: 0xc2,
  true: 0xc3,
  bin8: 0xc4,
  ext8: 0xc7,
  float32: 0xca,
  float64: 0xcb,
  uint8: 0xcc,
  int8: 0xd0,
  fixext1: 0xd4,
  str8: 0xd9,
  array16: 0xdc,
  map16: 0xde,
  negative: 0xe0,
} as const;

/** A double as Terraform's other numbers: small whole ones as they are, everything else by its digits. */
function exactDouble(value: number): Raw {
  return Number.isSafeInteger(value) ? value : Decimal.exactly(value).toString();
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

class Unpacker {
  private at = 0;

  constructor(private readonly bytes: Buffer) {}

  end(): void {
    if (this.at !== this.bytes.length)
      throw new RangeError(`${this.bytes.length - this.at} bytes after the value`);
  }

  value(): Raw {
    const code = this.bytes[this.advance(1)]!;
    if (code < CODE.fixmap) return code;
    if (code < CODE.fixarray) return this.map(code & 0x0f);
    if (code < CODE.fixstr) return this.array(code & 0x0f);
    if (code < CODE.nil) return this.string(code & 0x1f);
    if (code >= CODE.negative) return code - 0x100;
    switch (code) {
      case CODE.nil:
        return null;
      case CODE.false:
        return false;
      case CODE.true:
        return true;
      case CODE.bin8:
      case CODE.bin8 + 1:
      case CODE.bin8 + 2:
        return this.take(this.length(code - CODE.bin8));
      // A value that is not known yet, with or without what is known of it: all codes mean that, or may once.
      case CODE.ext8:
      case CODE.ext8 + 1:
      case CODE.ext8 + 2:
        return this.unknown(this.length(code - CODE.ext8));
      case CODE.float32:
        return exactDouble(this.take(4).readFloatBE());
      case CODE.float64:
        return exactDouble(this.take(8).readDoubleBE());
      case CODE.uint8:
      case CODE.uint8 + 1:
      case CODE.uint8 + 2:
        return this.unsigned(1 << (code - CODE.uint8));
      case CODE.uint8 + 3:
        return narrow(this.take(8).readBigUInt64BE());
      case CODE.int8:
      case CODE.int8 + 1:
      case CODE.int8 + 2: {
        const size = 1 << (code - CODE.int8);
        return this.take(size).readIntBE(0, size);
      }
      case CODE.int8 + 3:
        return narrow(this.take(8).readBigInt64BE());
      case CODE.str8:
      case CODE.str8 + 1:
      case CODE.str8 + 2:
        return this.string(this.length(code - CODE.str8));
      case CODE.array16:
      case CODE.array16 + 1:
        return this.array(this.length(1 + code - CODE.array16));
      case CODE.map16:
      case CODE.map16 + 1:
        return this.map(this.length(1 + code - CODE.map16));
      default:
        if (code >= CODE.fixext1 && code <= CODE.fixext1 + 4) return this.unknown(1 << (code - CODE.fixext1));
        throw new RangeError(`no value begins with 0x${code.toString(16)}`);
    }
  }

  /** A length of 1, 2 or 4 bytes. */
  private length(power: number): number {
    return this.unsigned(1 << power);
  }

  private unsigned(size: number): number {
    return this.bytes.readUIntBE(this.advance(size), size);
  }

  private take(length: number): Buffer {
    const start = this.advance(length);
    return this.bytes.subarray(start, this.at);
  }

  private string(length: number): string {
    const start = this.advance(length);
    return this.bytes.toString("utf8", start, this.at);
  }

  /** Where the next bytes begin. */
  private advance(length: number): number {
    const start = this.at;
    this.at += length;
    if (this.at > this.bytes.length) throw new RangeError("the value ends too early");
    return start;
  }

  private unknown(length: number): Raw {
    this.take(length + 1);
    return UNKNOWN;
  }

  private array(length: number): Raw[] {
    const array: Raw[] = [];
    for (let index = 0; index < length; index += 1) array.push(this.value());
    return array;
  }

  private map(length: number): RawObject {
    const object: RawObject = {};
    for (let index = 0; index < length; index += 1) {
      const key = this.value();
      if (typeof key !== "string") throw new RangeError("a key is not a string");
      const value = this.value();
      if (key !== "__proto__") object[key] = value;
      // A map's key may be anything; this one is no key to an ordinary assignment.
      else
        Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true });
    }
    return object;
  }
}

const FIRST_CAPACITY = 4_096;

class Packer {
  private buffer = Buffer.allocUnsafe(FIRST_CAPACITY);
  private at = 0;

  reset(): void {
    this.at = 0;
  }

  bytes(): Uint8Array {
    return Buffer.from(this.buffer.subarray(0, this.at));
  }

  value(raw: Raw): void {
    if (raw === null) return this.byte(CODE.nil);
    switch (typeof raw) {
      case "boolean":
        return this.byte(raw ? CODE.true : CODE.false);
      case "number":
        return this.number(raw);
      case "bigint":
        return this.bigint(raw);
      case "string":
        return this.string(raw);
    }
    if (raw === UNKNOWN) {
      // Any payload would do; zero is what Terraform itself writes.
      for (const byte of [CODE.fixext1, 0, 0]) this.byte(byte);
    } else if (Array.isArray(raw)) {
      this.head(raw.length, CODE.fixarray, 16, CODE.array16);
      for (const part of raw) this.value(part);
    } else if (raw instanceof Uint8Array) {
      this.head(raw.length, 0, 0, CODE.bin8 + 1);
      this.reserve(raw.length);
      this.buffer.set(raw, this.at);
      this.at += raw.length;
    } else {
      const entries = Object.entries(raw);
      this.head(entries.length, CODE.fixmap, 16, CODE.map16);
      for (const [key, part] of entries) {
        this.string(key);
        this.value(part);
      }
    }
  }

  private number(value: number): void {
    if (!Number.isSafeInteger(value)) return this.string(Decimal.exactly(value).toString());
    if (value >= 0) {
      if (value < 0x80) return this.byte(value);
      if (value < 0x100) return this.sized(CODE.uint8, value, 1);
      if (value < 0x1_0000) return this.sized(CODE.uint8 + 1, value, 2);
      if (value < 0x1_0000_0000) return this.sized(CODE.uint8 + 2, value, 4);
    } else if (value >= -0x20) {
      return this.byte(value & 0xff);
    }
    this.bigint(BigInt(value));
  }

  private bigint(value: bigint): void {
    if (BigInt.asIntN(64, value) === value) {
      this.byte(CODE.int8 + 3);
      this.reserve(8);
      this.at = this.buffer.writeBigInt64BE(value, this.at);
    } else this.string(value.toString());
  }

  private string(value: string): void {
    const length = Buffer.byteLength(value);
    if (length >= 32 && length < 0x100) this.sized(CODE.str8, length, 1);
    else this.head(length, CODE.fixstr, 32, CODE.str8 + 1);
    this.reserve(length);
    this.at += this.buffer.write(value, this.at, "utf8");
  }

  /** The head of something with a length: in one byte if it is below `limit`, else followed by 2 or 4 bytes. */
  private head(length: number, fixed: number, limit: number, code16: number): void {
    if (length < limit) this.byte(fixed | length);
    else if (length < 0x1_0000) this.sized(code16, length, 2);
    else this.sized(code16 + 1, length, 4);
  }

  private sized(code: number, value: number, size: number): void {
    this.reserve(1 + size);
    this.buffer[this.at] = code;
    this.at = this.buffer.writeUIntBE(value, this.at + 1, size);
  }

  private byte(value: number): void {
    this.reserve(1);
    this.buffer[this.at] = value;
    this.at += 1;
  }

  private reserve(length: number): void {
    if (this.at + length <= this.buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.at + length));
    this.buffer.copy(larger, 0, 0, this.at);
    this.buffer = larger;
  }
}

/** One for the process: it keeps its buffer from value to value. */
const packer = new Packer();
