import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ADDRESSES, PORTS } from "./addresses";
import { makeCertificate } from "./certificate";
import type { DaemonPlan } from "./daemon";
import type { AgentConfiguration, LayOutOptions, SiteAccess, SiteName } from "./options";
import { AGENT } from "./requirements";

export function accessOf(dir: string, name: SiteName): SiteAccess {
  return {
    name,
    endpoint: `https://${ADDRESSES[name]}:${PORTS.agent}`,
    address: ADDRESSES[name],
    tokenFile: join(dir, `${name}.token`),
    caFile: join(dir, `${name}.pem`),
    configFile: join(dir, `${name}.json`),
    stateDir: join(dir, name),
    logFile: join(dir, `agent-${name}.log`),
  };
}

/** Writes a site's token, certificate and configuration. @returns how its agent is started */
export function prepareSite(
  dir: string,
  namespace: string,
  site: SiteAccess,
  nameServer: AgentConfiguration | undefined,
  options: LayOutOptions,
): DaemonPlan {
  mkdirSync(site.stateDir, { mode: 0o700 });
  writeFileSync(site.tokenFile, `${randomBytes(24).toString("hex")}\n`, { mode: 0o600 });
  const keyFile = join(dir, `${site.name}.key`);
  makeCertificate(site.name, site.address, keyFile, site.caFile);
  const configuration: AgentConfiguration = {
    site: site.name,
    state: site.stateDir,
    listen: `${site.address}:${PORTS.agent}`,
    tokenFile: site.tokenFile,
    tls: { certFile: site.caFile, keyFile },
    launcher: { kind: "process" },
    balancer: {
      kind: "haproxy",
      settings: { exporter: `${site.address}:${PORTS.haproxyExporter}`, ...options.balancerSettings },
    },
    ...(nameServer ? { nameServer } : {}),
    // The one Prometheus asks both sites; the agent that stands beside it asks it in turn.
    ...(options.prometheus !== false && site.name === "onprem"
      ? { prometheus: { endpoint: `http://${site.address}:${PORTS.prometheus}` } }
      : {}),
  };
  const final = options.configure?.(site.name, configuration) ?? configuration;
  writeFileSync(site.configFile, `${JSON.stringify(final, null, 2)}\n`, { mode: 0o600 });
  return {
    name: `agent-${site.name}`,
    namespace,
    argv: [process.execPath, AGENT, "agent", "--config", site.configFile],
    cwd: dir,
    logFile: site.logFile,
    ready: { says: /answers at https:/ },
  };
}
