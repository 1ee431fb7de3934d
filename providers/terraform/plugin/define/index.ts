export * from "./context";
export * from "./data-source";
export * from "./function";
export * from "./partial-apply";
export * from "./provider";
export * from "./resource";
