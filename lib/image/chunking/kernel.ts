import { KERNEL_MODULE } from "./kernel-module";
import { wasmInstance, type WasmMemory } from "./wasm";

/** The largest block that {@link chunkBlock} takes. */
export const MAX_BLOCK_BYTES = 2 ** 20;

/** What a block consists of: chunks and holes, in order and without gaps. The arrays are views, valid until the next call. */
export interface BlockChunks {
  readonly count: number;
  /** Where each entry ends in the block; it begins where the one before ends. */
  readonly ends: Uint32Array;
  /** Two words an entry, the low one first: XXH64 of the chunk's bytes (1 should that be 0); 0 for a hole. */
  readonly keys: Uint32Array;
  isHole(entry: number): boolean;
}

interface ChunkKernel {
  readonly memory: WasmMemory;
  prepare(): void;
  chunk(length: number): number;
  inputAt(): number;
  endsAt(): number;
  keysAt(): number;
}

/** Compiled when it is first needed: most commands move no image. */
let prepared: ((block: Uint8Array) => BlockChunks) | undefined;

/**
 * Cuts a block at places that its content decides, so that an insertion moves only the cuts near it. Zeros that fill an aligned
 * 4 KiB of the block (or what is left of it at its end) are holes; neighbouring holes are one entry, and cutting starts anew after
 * each. Where the cuts are and what the keys are depends on the bytes alone, on every machine.
 * @param block at most {@link MAX_BLOCK_BYTES}
 * @throws RangeError for a larger one
 */
export function chunkBlock(block: Uint8Array): BlockChunks {
  prepared ??= prepare();
  return prepared(block);
}

function prepare(): (block: Uint8Array) => BlockChunks {
  const kernel = wasmInstance<ChunkKernel>(KERNEL_MODULE);
  kernel.prepare();
  const { buffer } = kernel.memory;
  const input = new Uint8Array(buffer, kernel.inputAt(), MAX_BLOCK_BYTES);
  return (block) => {
    if (block.length > MAX_BLOCK_BYTES) throw new RangeError(`a block of ${block.length} bytes`);
    input.set(block);
    const count = kernel.chunk(block.length);
    const ends = new Uint32Array(buffer, kernel.endsAt(), count);
    return chunkList(count, ends, new Uint32Array(buffer, kernel.keysAt(), count * 2));
  };
}

/** Entries over arrays of ends and keys: a hole is one whose key is 0. */
export function chunkList(count: number, ends: Uint32Array, keys: Uint32Array): BlockChunks {
  return { count, ends, keys, isHole: (entry) => keys[entry * 2] === 0 && keys[entry * 2 + 1] === 0 };
}
