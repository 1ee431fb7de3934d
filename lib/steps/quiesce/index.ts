export { siphonUsers, type SiphonRequest } from "./siphon";
