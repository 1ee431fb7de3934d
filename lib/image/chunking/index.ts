export { Chunker, type ChunkSink } from "./chunker";
export { cutPoint } from "./gear";
