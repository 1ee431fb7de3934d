export { takeDownPool, type TakeDownRequest } from "./take-down";
