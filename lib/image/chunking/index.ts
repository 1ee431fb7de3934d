export { MAX_BLOCK_BYTES, chunkBlock, chunkList, type BlockChunks } from "./kernel";
export { KeyTable } from "./key-table";
