import { resolve } from "node:path";
import {
  HookMetrics,
  loadManifest,
  runHook,
  serveMetrics,
  siteObserver,
  type HookEvent,
} from "../../lib/hook";
import { SiteDirectory } from "../../lib/site/client";
import { parseEndpoint } from "../endpoint";
import { cloudPlatform, sideObservers } from "../observers";
import { createTimeline } from "../demo/timeline";
import { EXIT, interruptSignal, readerGone } from "../output";
import { priceBook } from "../prices";
import { attachedTerraform } from "../terraform-environment";

export interface RunOptions {
  readonly dir: string;
  readonly burst?: string;
  readonly propose?: boolean;
  readonly json?: boolean;
  /** Where the hook's metrics are served: HOST:PORT. */
  readonly metrics?: string;
  /** A price table that wins over the built-in one. */
  readonly prices?: string;
}

/** Runs the hook until Ctrl-C, or until nobody reads what it says; it ends in good order: an apply that runs is stopped first. */
export async function run(options: RunOptions): Promise<number> {
  const signal = AbortSignal.any([interruptSignal(), readerGone()]);
  const loaded = loadManifest(resolve(options.dir), { burst: options.burst });
  const prices = priceBook(options.prices);
  const sites = new SiteDirectory(loaded.manifest.sites);
  const sides = sideObservers(loaded.manifest.observers);
  const platform = await cloudPlatform(loaded.manifest);
  const listen = options.metrics === undefined ? undefined : parseEndpoint(options.metrics, "--metrics");
  const metrics = new HookMetrics(loaded.manifest.name);
  const server = listen && (await serveMetrics(listen, () => metrics.text()));
  const terraform = await attachedTerraform(loaded.directories.stack);
  const tell = options.json ? tellAsJson : tellAsTimeline();
  try {
    await runHook({
      ...loaded,
      mode: options.propose ? "propose" : "apply",
      terraform: { environment: terraform.environment },
      progressFile: terraform.progressFile,
      observe: siteObserver({ manifest: loaded.manifest, sites, sides, ...(platform ? { platform } : {}) }),
      prices,
      signal,
      onEvent: (event) => {
        metrics.see(event);
        tell(event);
      },
    });
  } catch (error) {
    // Ctrl-C reaches a Terraform that is being looked for as well.
    if (!signal.aborted) throw error;
  } finally {
    await terraform.close();
    await server?.close();
    sites.close();
    platform?.close();
  }
  return EXIT.ok;
}

function tellAsJson(event: HookEvent): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

function tellAsTimeline(): (event: HookEvent) => void {
  const timeline = createTimeline({ stream: process.stdout, startedAt: Date.now() });
  return (event) => timeline.hook(event);
}
