export * from "./run-record";
export { renderReport } from "./render-report";
export { formatClock } from "./markup";
