export { siphonUsers, type SiphonRequest } from "./siphon";
export { awaitObservedQuiet, type ObservedQuietRequest } from "./observed-quiet";
