import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { SiteProps } from "spillway";

/** Where the example runs. */
export interface WhereItRuns {
  readonly sites: { readonly onprem: SiteProps; readonly cloud: SiteProps };
  readonly imagePath: string;
  readonly zone: string;
  /** At which both sites serve. */
  readonly port: number;
}

/** `lab up` writes it; two data centers of your own would be told here. */
const LAB_FILE = ".spillway/datacenter/lab.json";

/** The lab that is laid out here; without one, the same data centers as it would have. */
export function findDatacenter(): WhereItRuns {
  const file = resolve(LAB_FILE);
  const lab = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as WhereItRuns) : undefined;
  const site = (name: "onprem" | "cloud", address: string): SiteProps => {
    const { endpoint, tokenFile, caFile } = lab?.sites[name] ?? {
      endpoint: `https://${address}:7700`,
      tokenFile: `.spillway/datacenter/${name}.token`,
      caFile: `.spillway/datacenter/${name}.pem`,
    };
    return { endpoint, address, tokenFile, caFile };
  };
  return {
    sites: { onprem: site("onprem", "10.77.1.2"), cloud: site("cloud", "10.77.2.2") },
    imagePath: "images/shop.tar",
    zone: lab?.zone ?? "example.test",
    port: lab?.port ?? 8080,
  };
}
