export { SiteClient } from "./site-client";
export { SiteDirectory } from "./site-directory";
export { SiteError, type SiteErrorCode } from "./errors";
export type { CallOptions, TransportOptions } from "./transport";
export { siteOverviews, type SiteOverview } from "./overview";
