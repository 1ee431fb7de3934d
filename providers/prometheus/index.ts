export { haproxyQueries, poolQueries, type HaproxyQueries, type HaproxyTarget } from "./haproxy-queries";
export { nodeQueries, type NodeQueries, type NodeTarget } from "./node-queries";
export { prometheusProblems, type PrometheusOptions } from "./options";
export { PrometheusObserver } from "./prometheus-observer";
