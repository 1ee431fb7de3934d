export * from "./attribute";
export * from "./builder";
export * from "./timeouts";
export * from "./types";
export * from "./unknown";
