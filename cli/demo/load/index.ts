export * from "./options";
export { startLoad, type LoadHandlers, type RunningLoad } from "./run-load";
