/** How much of a link transfers may take and when, in how many streams; and the file in which one says so for a whole machine. */
export { formatCap, parseCap, tryParseCap, type Cap, type ParsedCap } from "./rate";
export {
  formatWindow,
  parseWindow,
  tryParseWindow,
  WEEK,
  type BandwidthWindow,
  type Day,
  type ParsedWindow,
} from "./window";
export { capAt, earliestChange, isWithin, lowestCapAt, nextChange, type BandwidthPlan } from "./plan";
export { bandwidthText, parseBandwidth, tryParseBandwidth, type BandwidthText } from "./plan-text";
export {
  bandwidthFile,
  readBandwidth,
  watchBandwidth,
  writeBandwidth,
  type WatchBandwidthOptions,
  type WatchedBandwidth,
} from "./file";
export { firstLinkRate, isLossy, nextLinkRate, type LinkRate, type LinkSample } from "./link-rate";
export { keepPace, Pace, type PaceClock } from "./pace";
export { firstStreams, nextStreams, type Streams, type StreamsOptions, type StreamsSample } from "./streams";
export {
  congestionControl,
  congestionControlMeans,
  lossBetween,
  parseTcpCounters,
  readTcpCounters,
  type TcpCounters,
} from "./tcp";
