import { setFlagsFromString } from "node:v8";

/** As much of WebAssembly's interface as we use: Node's types have none of it. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports?: object) => { readonly exports: object };
  readonly Memory: new (limits: { initial: number; maximum?: number }) => WasmMemory;
};

export interface WasmMemory {
  readonly buffer: ArrayBuffer;
}

/** A memory of so many bytes (rounded up to pages of 64 KiB) that does not grow. */
export function wasmMemory(bytes: number): WasmMemory {
  const pages = Math.ceil(bytes / 65536);
  return new WebAssembly.Memory({ initial: pages, maximum: pages });
}

/**
 * Instantiates a module that is kept as base64. `E` must be what it exports. It is compiled at once and for good: a compilation that goes
 * on in the background can keep Node.js 20 from ending.
 */
export function wasmInstance<E extends object>(base64: string, memory?: WasmMemory): E {
  setFlagsFromString("--no-liftoff");
  setFlagsFromString("--no-wasm-lazy-compilation");
  try {
    const module = new WebAssembly.Module(Buffer.from(base64, "base64"));
    return new WebAssembly.Instance(module, memory && { env: { memory } }).exports as E;
  } finally {
    setFlagsFromString("--liftoff");
    setFlagsFromString("--wasm-lazy-compilation");
  }
}
