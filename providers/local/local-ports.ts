import type { SitePorts } from "../../lib/site/ports";
import { LocalBalancer } from "./balancer";
import { LocalLauncher } from "./launcher";
import { LocalNameServer } from "./nameserver";

export interface LocalPortsOptions {
  /** The site's state directory. */
  readonly stateDir: string;
  /** Where to answer for the global name, UDP and TCP. @default - nowhere */
  readonly nameServer?: { readonly host: string; readonly port: number };
}

/** The embedded default: everything a site runs on, as unprivileged processes of this machine. */
export function localPorts({ stateDir, nameServer }: LocalPortsOptions): SitePorts {
  return {
    launcher: new LocalLauncher({ stateDir }),
    balancer: new LocalBalancer({ stateDir }),
    ...(nameServer
      ? { nameServer: new LocalNameServer({ stateDir, address: nameServer.host, port: nameServer.port }) }
      : {}),
  };
}
