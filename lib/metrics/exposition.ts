/** One metric with all its series, as Prometheus reads them. Base units (seconds, bytes); counters' names end with `_total`. */
export interface MetricFamily {
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter";
  /** None: the metric is left out, for what is not known is not 0. */
  readonly series: readonly MetricSeries[];
}

export interface MetricSeries {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What an answer in this format is called. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Metrics in Prometheus' text format, 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/). Pure. */
export function metricsText(families: readonly MetricFamily[]): string {
  return families
    .filter(({ series }) => series.length > 0)
    .map(({ name, help, type, series }) =>
      [
        `# HELP ${name} ${help.replace(/\\/g, "\\\\").replace(/\n/g, "\\n")}`,
        `# TYPE ${name} ${type}`,
        ...series.map(({ labels, value }) => `${name}${labelsText(labels)} ${valueText(value)}`),
        "",
      ].join("\n"),
    )
    .join("");
}

/** A metric without labels; left out while its value is undefined. */
export function single(
  type: MetricFamily["type"],
  name: string,
  help: string,
  value: number | undefined,
): MetricFamily {
  return { name, help, type, series: value === undefined ? [] : [{ labels: {}, value }] };
}

function labelsText(labels: MetricSeries["labels"]): string {
  const escaped = (value: string) => value.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n");
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function valueText(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  return Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : "-Inf";
}
