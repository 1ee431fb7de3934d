import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { SpillwayError } from "../../errors";
import { openImageStore } from "../../image";
import type { ProcessHandle } from "../../process-identity";
import { version } from "../../version";
import type { SitePorts } from "../ports";
import { DirectoryLock } from "./directory-lock";
import { EventLog } from "./event-log";
import { Images } from "./images";
import { NameRecords } from "./name-records";
import { Pools, poolsUsing } from "./pools";
import { Reviver } from "./reviver";
import { Router } from "./router";
import { routesOf } from "./routes";
import { Snapshots } from "./snapshots";
import { AgentServer, type ListenOptions, type TlsFiles } from "./server";
import { StateFile } from "./state-file";
import { TokenCheck, readToken } from "./token";

/** Unused images that stay unless another number is given. */
const RETAINED_IMAGES = 5;
const FEWEST_RETAINED = 2;

export interface AgentOptions {
  /** The site's name. */
  readonly site: string;
  /** Where everything is kept that must survive a restart. One agent for each. */
  readonly stateDir: string;
  readonly listen: ListenOptions;
  /** At least 16 characters. Either this or `tokenFile`. */
  readonly token?: string;
  readonly tokenFile?: string;
  /** Needed on any address but loopback. */
  readonly tls?: TlsFiles;
  readonly ports: SitePorts;
  /**
   * A balancer or name server that does not start is tried again every few seconds, and only what needs it is refused meanwhile.
   * Otherwise the agent does not start either.
   * @default false
   */
  readonly waitForParts?: boolean;
  /** Gets one line for each thing worth telling. Never a token. @default nobody */
  readonly log?: (line: string) => void;
  /** The rate of the link into this site while none was measured, bits per second. @default 100000000 */
  readonly assumedRateBps?: number;
  /**
   * So many complete images stay that no pool uses, at least 2; of those beyond, the ones that nobody asked for by their digest for
   * the longest time are evicted, and as many more as it takes when the disk is full. "all": none ever is.
   * @default 5
   */
  readonly retainImages?: number | "all";
}

export interface RunningAgent {
  /** `http://127.0.0.1:7501` */
  readonly endpoint: string;
  /** Stops the agent. Its members, its balancer and its name server go on; the next agent takes them up. Idempotent. */
  close(): Promise<void>;
}

/**
 * Starts a site's agent: takes up what runs already, then listens.
 * @throws SpillwayError for a token, an address, a state directory or a part that it cannot work with
 */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const { site, stateDir, ports } = options;
  const log = options.log ?? (() => undefined);
  mustBeName(site);
  const retained = retainedImages(options.retainImages);
  AgentServer.check(options);
  const token = new TokenCheck(await readToken(options));
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  let started = false;
  const closing: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const step of closing.splice(0).reverse()) await step();
  };
  try {
    const lock = await DirectoryLock.take(stateDir);
    closing.push(() => lock.release());
    // Before anything is started: an agent that cannot listen leaves nothing running behind.
    let open: (router: Router) => void = () => undefined;
    const opened = new Promise<Router>((resolve) => (open = resolve));
    const server = await AgentServer.listen({
      ...{ listen: options.listen, tls: options.tls, token, log },
      router: opened,
    });
    closing.push(() => server.close());
    const file = await StateFile.open(join(stateDir, "state.json"), site);
    const events = new EventLog(join(stateDir, "events.ndjson"), log);
    closing.push(() => events.close());
    const save = () => file.save();
    await save(); // A directory that cannot be written to is found now.
    const store = await openImageStore({
      directory: join(stateDir, "images"),
      site,
      usedBy: (digest) => poolsUsing(file.state, digest),
      assumedRateBps: options.assumedRateBps,
      retention:
        retained === undefined
          ? undefined
          : { images: retained, onEvicted: (image) => images.evicted(image) },
      onProblem: ({ place, problem, mend }) => log(`${place}: ${problem}. ${mend}`),
    });
    closing.push(() => store.close());
    const balancer = new Reviver("the balancer", () => ports.balancer.start(), log);
    const pools: Pools = new Pools(file.state, store, { site, ports, events, balancer, log, save });
    const waits = options.waitForParts ?? false;
    const records = new NameRecords(site, file.state, ports.nameServer, { events, save, log, waits });
    const images: Images = new Images(store, pools, ports.launcher, events);
    const directory = join(stateDir, "snapshots");
    const snapshots = new Snapshots({ maker: ports.snapshots, store, events, directory, log });
    closing.push(() => snapshots.stop());
    const rooms = { ports, balancer, pools, images, snapshots, records, events };
    const router = new Router(routesOf({ site, version, startedAt: Date.now(), ...rooms }));
    // A helper that serves nobody yet goes with an agent that cannot start; one that has users stays for the next agent.
    closing.push(async () => {
      if (started) return;
      if (Object.keys(file.state.pools).length === 0) await ports.balancer.stop();
      if (Object.keys(file.state.records).length === 0) await ports.nameServer?.stop();
    });
    closing.push(() => balancer.stop());
    await balancer.begin(waits);
    closing.push(() => records.stop());
    await records.start();
    closing.push(() => pools.stop());
    await pools.start();
    open(router);
    // First of all, what is under way is answered.
    closing.push(() => server.close());
    closing.push(() => records.interrupt());
    events.add("agent-started", site, `${server.endpoint}, version ${version}, process ${process.pid}`);
    started = true;
    return { endpoint: server.endpoint, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The process of the agent that works in a state directory; undefined when none does. */
export function agentProcess(stateDir: string): Promise<ProcessHandle | undefined> {
  return DirectoryLock.holder(stateDir);
}

/** How many images are kept that nothing uses; undefined: all. @throws SpillwayError */
function retainedImages(images: number | "all" = RETAINED_IMAGES): number | undefined {
  if (images === "all") return undefined;
  if (Number.isInteger(images) && images >= FEWEST_RETAINED) return images;
  throw new SpillwayError({
    place: "retainImages",
    problem: `the number of unused images to retain must be a whole number from ${FEWEST_RETAINED} on, or "all", got ${images}`,
    mend: `Give ${FEWEST_RETAINED} or more: the two newest always stay, as bases of what comes next.`,
    attribute: ["retainImages"],
  });
}

function mustBeName(site: string): void {
  if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(site)) return;
  throw new SpillwayError({
    place: "site",
    problem: `a site's name has lower-case letters, digits and hyphens only, got ${JSON.stringify(site)}`,
    mend: "Name it such as `onprem` or `cloud-1`.",
  });
}
