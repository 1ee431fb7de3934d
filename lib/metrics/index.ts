export { METRICS_TYPE, metricsText, single, type MetricFamily, type MetricSeries } from "./exposition";
