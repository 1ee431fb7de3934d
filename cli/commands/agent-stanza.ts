import { SpillwayError } from "../../lib/errors";
import { SiteClient } from "../../lib/site/client";
import { poolStanza } from "../../providers/haproxy";
import { agentEndpoint, loadAgentConfig } from "../agent";
import { EXIT, jsonLine } from "../output";

export interface StanzaOptions {
  readonly config: string;
  readonly pool: string;
  readonly endpoint?: string;
  readonly json?: boolean;
}

/** Prints a pool's stanza for HAProxy's configuration: the same text as the agent keeps in its state directory. */
export async function run(options: StanzaOptions): Promise<number> {
  const config = loadAgentConfig(options.config);
  const { balancer, site } = config;
  if (balancer.kind !== "haproxy") {
    throw new SpillwayError({
      place: options.config,
      problem: `\`balancer.kind\` is "${balancer.kind}": its pools need no stanza`,
      mend: 'A stanza is for { "kind": "haproxy", "attach": { "socket": … } }.',
    });
  }
  const client = new SiteClient(site, agentEndpoint(config, options.endpoint), { retryBudgetMs: 2_000 });
  try {
    const pool = await client.pool(options.pool);
    if (pool === undefined) {
      const known = (await client.context()).pools.map(({ name }) => `"${name}"`).join(", ") || "none";
      throw new SpillwayError({
        place: `site ${site}`,
        problem: `it has no pool "${options.pool}"; it has ${known}`,
        mend: "Declare it first (`terraform apply`), or correct the name.",
      });
    }
    const { listen, monitor, affinity, sessionIdleMs } = pool.spec;
    const stanza = poolStanza(
      { name: pool.name, listen, monitor, affinity, sessionIdleMs },
      balancer.settings,
    );
    process.stdout.write(options.json ? jsonLine({ ok: true, pool: pool.name, stanza }) : stanza);
    return EXIT.ok;
  } finally {
    client.close();
  }
}
