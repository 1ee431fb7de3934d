export * from "./site-snapshot";
export * from "./snapshot";
export * from "./transfer";
