export * from "./snapshot";
export * from "./transfer";
