export * from "./reattach";
export * from "./serve";
