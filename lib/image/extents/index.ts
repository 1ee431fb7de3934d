export { Extents, ExtentsBuilder, MAX_RANGES } from "./extents";
export { mapExtents, type ExtentMap, type MapOptions, type PartReport } from "./map";
