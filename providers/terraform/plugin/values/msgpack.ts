import { Decoder, Encoder, ExtensionCodec } from "@msgpack/msgpack";
import { UNKNOWN } from "../schema";
import type { Raw } from "./raw";

const extensions = new ExtensionCodec();
// Code 0 is an unknown value, 12 one with refinements (a known prefix, bounds). Others may come: all mean "not known yet".
for (let type = 0; type <= 127; type += 1) {
  extensions.register({
    type,
    encode: type === 0 ? (value) => (value === UNKNOWN ? new Uint8Array(1) : null) : () => null,
    decode: () => UNKNOWN,
  });
}

// One of each for the process: they keep their buffers and key caches from value to value.
const decoder = new Decoder({ extensionCodec: extensions, useBigInt64: true });
const encoder = new Encoder({ extensionCodec: extensions, useBigInt64: true });

/** @throws if it is not msgpack */
export function unpack(bytes: Uint8Array): Raw {
  return decoder.decode(bytes) as Raw;
}

export function pack(raw: Raw): Uint8Array {
  return encoder.encode(raw);
}

/** A null of any type. */
export const NULL_BYTES: Uint8Array = Uint8Array.of(0xc0);

export function isNullBytes(bytes: Uint8Array): boolean {
  return bytes.length === 0 || (bytes.length === 1 && bytes[0] === 0xc0);
}
