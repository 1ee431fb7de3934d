export { MAX_BLOCK_BYTES, chunkBlock, type BlockChunks } from "./kernel";
export { KeyTable } from "./key-table";
