export { checkImageIsThere } from "./image-check";
export { isGrowing, launchPool, type LaunchRequest } from "./launch";
