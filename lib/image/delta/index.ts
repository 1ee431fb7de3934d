export { DeltaIndex, type Candidate } from "./delta-index";
export { findMatches, type Allowed, type Match } from "./find-matches";
export { PageCache, type DeltaBase } from "./page-cache";
