import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ADDRESSES, PORTS } from "./addresses";
import type { DaemonPlan } from "./daemon";
import type { SiteAccess } from "./options";

/** Prometheus at onprem, which asks both sites: their HAProxy, their machine, their agent. */
export function prometheusPlan(dir: string, namespace: string, sites: readonly SiteAccess[]): DaemonPlan {
  const folder = join(dir, "prometheus");
  mkdirSync(folder, { mode: 0o700 });
  const config = join(folder, "prometheus.json");
  const targets = (port: number) =>
    sites.map(({ name, address }) => ({ targets: [`${address}:${port}`], labels: { site: name } }));
  // JSON is YAML.
  writeFileSync(
    config,
    JSON.stringify(
      {
        global: { scrape_interval: "1s", scrape_timeout: "1s" },
        scrape_configs: [
          { job_name: "haproxy", static_configs: targets(PORTS.haproxyExporter) },
          { job_name: "node", static_configs: targets(PORTS.nodeExporter) },
          ...sites.map(({ name, address, tokenFile, caFile }) => ({
            job_name: `agent-${name}`,
            scheme: "https",
            authorization: { credentials_file: tokenFile },
            tls_config: { ca_file: caFile },
            static_configs: [{ targets: [`${address}:${PORTS.agent}`], labels: { site: name } }],
          })),
        ],
      },
      null,
      2,
    ),
  );
  return {
    name: "prometheus",
    namespace,
    argv: [
      "prometheus",
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=${ADDRESSES.onprem}:${PORTS.prometheus}`,
    ],
    logFile: join(dir, "prometheus.log"),
    ready: { listens: [PORTS.prometheus] },
  };
}

export function nodeExporterPlan(dir: string, namespace: string, { name, address }: SiteAccess): DaemonPlan {
  return {
    name: `node-exporter-${name}`,
    namespace,
    argv: ["prometheus-node-exporter", `--web.listen-address=${address}:${PORTS.nodeExporter}`],
    logFile: join(dir, `node-exporter-${name}.log`),
    ready: { listens: [PORTS.nodeExporter] },
  };
}
