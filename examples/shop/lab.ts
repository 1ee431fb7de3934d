import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { BurstPolicy, SiteProps } from "spillway";

/** Where the example runs. `spillway lab` writes it; without a lab, the environment says. */
export interface Lab {
  readonly sites: { readonly onprem: SiteProps; readonly cloud: SiteProps };
  readonly image: { readonly path: string };
  /** Where both sites serve the shop. */
  readonly port: number;
  /** A lab is in more of a hurry than a shop. */
  readonly policy?: Partial<BurstPolicy>;
}

const LAB_FILE = ".spillway/lab.json";

/** The lab that runs here, or what the environment says of the two sites. */
export function findLab(env: NodeJS.ProcessEnv = process.env): Lab {
  const elsewhere: Lab = {
    sites: {
      onprem: {
        endpoint: env["SPILLWAY_ONPREM_ENDPOINT"] ?? "http://127.0.0.1:7501",
        address: env["SPILLWAY_ONPREM_ADDRESS"] ?? "127.0.1.1",
      },
      cloud: {
        endpoint: env["SPILLWAY_CLOUD_ENDPOINT"] ?? "http://127.0.0.1:7502",
        address: env["SPILLWAY_CLOUD_ADDRESS"] ?? "127.0.2.1",
      },
    },
    image: { path: env["SPILLWAY_IMAGE"] ?? "images/shop.tar" },
    port: Number(env["SPILLWAY_PORT"] ?? 8080),
  };
  const file = resolve(LAB_FILE);
  if (!existsSync(file)) return elsewhere;
  return { ...elsewhere, ...(JSON.parse(readFileSync(file, "utf8")) as Partial<Lab>) };
}
