export { Chunker, type ChunkSink } from "./chunker";
export { cutPoint } from "./gear";
export { MAX_BLOCK_BYTES, chunkBlock, type BlockChunks } from "./kernel";
export { KeyTable } from "./key-table";
