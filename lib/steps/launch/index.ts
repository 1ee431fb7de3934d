export { checkImageIsThere } from "./image-check";
export { launchPool, type LaunchRequest } from "./launch";
