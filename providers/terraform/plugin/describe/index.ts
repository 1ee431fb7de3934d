export * from "./markdown";
export * from "./schema-json";
