import { SpillwayError } from "../../errors";
import { metricsText, METRICS_TYPE } from "../../metrics";
import type { Health, RecordStatus, SiteContext, SiteParts } from "../api";
import type { SitePorts } from "../ports";
import {
  checkGateSpec,
  checkOwner,
  checkPoolName,
  checkPoolSpec,
  checkQuiesceSpec,
  checkReason,
  checkRecordName,
  checkRecordSpec,
} from "./bodies";
import type { EventLog } from "./event-log";
import {
  checkCompletion,
  checkDigest,
  checkEstimate,
  checkSegmentId,
  checkSnapshotId,
  checkSnapshotRequest,
  checkTransferId,
  checkTransferRequest,
} from "./image-bodies";
import { type Images, MAX_SEGMENT_BYTES } from "./images";
import { siteMetrics } from "./metrics";
import type { NameRecords } from "./name-records";
import { knownStatuses, PartsWatch, type KnownProblems } from "./parts";
import type { Pools } from "./pools";
import { AgentError } from "./problems";
import type { Reviver } from "./reviver";
import type { Answer, Request, Route } from "./router";
import type { Snapshots } from "./snapshots";

/** What the routes act upon. */
export interface SiteRooms {
  readonly site: string;
  readonly version: string;
  readonly startedAt: number;
  readonly ports: SitePorts;
  readonly balancer: Reviver;
  readonly pools: Pools;
  readonly images: Images;
  readonly snapshots: Snapshots;
  readonly records: NameRecords;
  readonly events: EventLog;
}

/** The API's table (lib/site/api.ts) as routes. */
export function routesOf(rooms: SiteRooms): readonly Route[] {
  return [
    ...siteRoutes(rooms),
    ...imageRoutes(rooms),
    ...snapshotRoutes(rooms),
    ...poolRoutes(rooms),
    ...recordRoutes(rooms),
  ];
}

function siteRoutes(rooms: SiteRooms): readonly Route[] {
  const { events } = rooms;
  const watch = new PartsWatch(rooms.ports);
  const partsOf = async (signal: AbortSignal): Promise<SiteParts> => ({
    parts: await watch.now(signal, knownOf(rooms)),
  });
  return [
    { method: "GET", path: "/v1/health", takes: "nothing", open: true, handle: () => ok(healthOf(rooms)) },
    { method: "GET", path: "/v1/context", takes: "nothing", handle: async () => ok(await contextOf(rooms)) },
    {
      method: "GET",
      path: "/v1/parts",
      takes: "nothing",
      handle: async ({ signal }) => ok(await partsOf(signal)),
    },
    {
      method: "GET",
      path: "/metrics",
      takes: "nothing",
      answers: "text",
      handle: async () => ({
        status: 200,
        text: { type: METRICS_TYPE, body: await metricsOf(rooms) },
      }),
    },
    {
      method: "GET",
      path: "/v1/events",
      takes: "nothing",
      handle: ({ query }) => ok(events.after(after(query))),
    },
  ];
}

function imageRoutes({ images }: SiteRooms): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/v1/images",
      takes: "nothing",
      handle: async () => ok({ images: await images.store.list() }),
    },
    {
      method: "GET",
      path: "/v1/images/{digest}",
      takes: "nothing",
      handle: async (request) => ok(await images.status(digest(request))),
    },
    {
      method: "DELETE",
      path: "/v1/images/{digest}",
      takes: "nothing",
      handle: (request) => images.remove(digest(request)).then(gone),
    },
    {
      method: "GET",
      path: "/v1/images/{digest}/index",
      takes: "nothing",
      answers: "bytes",
      handle: async (request) => ({
        status: 200,
        file: await images.indexFile(digest(request), request.signal),
      }),
    },
    {
      method: "POST",
      path: "/v1/images/{digest}/estimate",
      takes: "json",
      handle: async (request) => {
        const image = digest(request);
        return ok(await images.store.pinEstimate(image, checkEstimate(request.json, `image ${image}`)));
      },
    },
    {
      method: "POST",
      path: "/v1/images/{digest}/verify",
      takes: "nothing",
      handle: async (request) => ok(await images.verify(digest(request), request.signal)),
    },
    {
      method: "PUT",
      path: "/v1/transfers/{id}",
      takes: "json",
      handle: async (request) => {
        const id = transfer(request);
        return ok(await images.store.openTransfer(id, checkTransferRequest(request.json, `transfer ${id}`)));
      },
    },
    {
      method: "PUT",
      path: "/v1/transfers/{id}/segments/{segmentId}",
      takes: { maxBytes: MAX_SEGMENT_BYTES },
      party: "id",
      handle: async (request) => {
        const segment = checkSegmentId(request.path.segmentId);
        const { bytes, signal } = request;
        return ok(await images.store.putSegment(transfer(request), segment, bytes, { signal }));
      },
    },
    {
      method: "POST",
      path: "/v1/transfers/{id}/complete",
      takes: "json",
      handle: async (request) => {
        const id = transfer(request);
        return ok(await images.complete(id, checkCompletion(request.json, `transfer ${id}`)));
      },
    },
  ];
}

function snapshotRoutes({ snapshots }: SiteRooms): readonly Route[] {
  return [
    {
      method: "POST",
      path: "/v1/images/{digest}/snapshots",
      takes: "json",
      handle: async (request) => {
        const image = digest(request);
        const wanted = checkSnapshotRequest(request.json, `snapshot of image ${image}`);
        return accepted(await snapshots.make(image, wanted));
      },
    },
    {
      method: "GET",
      path: "/v1/images/{digest}/snapshots",
      takes: "nothing",
      handle: async (request) => ok(await snapshots.status(digest(request), request.signal)),
    },
    {
      method: "DELETE",
      path: "/v1/images/{digest}/snapshots/{snapshotId}",
      takes: "nothing",
      handle: (request) => {
        const id = checkSnapshotId(request.path.snapshotId);
        return snapshots.remove(digest(request), id, request.signal).then(gone);
      },
    },
  ];
}

function poolRoutes({ pools }: SiteRooms): readonly Route[] {
  return [
    {
      method: "PUT",
      path: "/v1/pools/{name}",
      takes: "json",
      handle: async (request) => {
        const name = checkPoolName(request.path.name);
        return accepted(await pools.put(name, checkPoolSpec(request.json, `pool ${name}`)));
      },
    },
    {
      method: "GET",
      path: "/v1/pools/{name}",
      takes: "nothing",
      handle: ({ path }) => ok(pools.get(path.name)),
    },
    {
      method: "DELETE",
      path: "/v1/pools/{name}",
      takes: "nothing",
      handle: async ({ path, query }) =>
        accepted(await pools.remove(path.name, checkOwner(query, `pool ${path.name}`))),
    },
    {
      method: "POST",
      path: "/v1/pools/{name}/retry",
      takes: "nothing",
      handle: async ({ path }) => ok(await pools.retry(path.name)),
    },
    {
      method: "POST",
      path: "/v1/pools/{name}/fail",
      takes: "json",
      handle: async ({ path, json }) =>
        ok(await pools.fail(path.name, checkReason(json, `pool ${path.name}`))),
    },
    {
      method: "PUT",
      path: "/v1/pools/{name}/gate",
      takes: "json",
      handle: async ({ path, json }) =>
        ok(await pools.admit(path.name, checkGateSpec(json, `gate of pool ${path.name}`))),
    },
    {
      method: "POST",
      path: "/v1/pools/{name}/quiesce",
      takes: "json",
      handle: async ({ path, json }) =>
        ok(await pools.quiesce(path.name, checkQuiesceSpec(json, `quiesce of pool ${path.name}`))),
    },
    {
      method: "GET",
      path: "/v1/pools/{name}/traffic",
      takes: "nothing",
      handle: async ({ path }) => ok(await pools.traffic(path.name)),
    },
  ];
}

function recordRoutes({ records }: SiteRooms): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/v1/records",
      takes: "nothing",
      handle: async () => ok({ records: await records.list() }),
    },
    {
      method: "PUT",
      path: "/v1/records/{name}",
      takes: "json",
      handle: async (request) => {
        const name = recordName(request);
        return ok(await records.put(name, checkRecordSpec(request.json, `record ${name}`), request.signal));
      },
    },
    {
      method: "GET",
      path: "/v1/records/{name}",
      takes: "nothing",
      handle: async (request) => ok(await records.get(recordName(request))),
    },
    {
      method: "DELETE",
      path: "/v1/records/{name}",
      takes: "nothing",
      handle: (request) => {
        const name = recordName(request);
        const owner = checkOwner(request.query, `record ${name}`);
        return records.remove(name, owner, request.signal).then(gone);
      },
    },
    {
      method: "POST",
      path: "/v1/records/{name}/plan",
      takes: "json",
      handle: async (request) => {
        const name = recordName(request);
        return ok(await records.plan(name, checkRecordSpec(request.json, `record ${name}`)));
      },
    },
    {
      method: "POST",
      path: "/v1/records/{name}/prepare",
      takes: "nothing",
      handle: async (request) => ok(await records.prepare(recordName(request))),
    },
  ];
}

function healthOf({ site, version, startedAt }: SiteRooms): Health {
  return { site, version, uptimeMs: Date.now() - startedAt };
}

function knownOf({ balancer, records }: SiteRooms): KnownProblems {
  return { balancer: balancer.problems, nameServer: records.problems };
}

async function contextOf({ site, pools, images, records }: SiteRooms): Promise<SiteContext> {
  const [contexts, held, named] = await Promise.all([
    pools.contexts(),
    images.store.list(),
    namedOf(records),
  ]);
  return {
    site,
    at: Date.now(),
    pools: contexts,
    images: held,
    link: images.store.linkRate(),
    ...named,
    nameServer: records.endpoint,
  };
}

/** Who sees to users must not be blind because names cannot be asked about. */
async function namedOf(records: NameRecords): Promise<Pick<SiteContext, "records" | "recordsProblem">> {
  let held: readonly RecordStatus[];
  try {
    held = await records.held();
  } catch (error) {
    if (!(error instanceof SpillwayError)) throw error;
    return { records: [], recordsProblem: error.report.problem };
  }
  return { records: held };
}

/** What cannot be asked is left out: a scrape tells of the rest. */
async function metricsOf(rooms: SiteRooms): Promise<string> {
  const { site, version, startedAt, pools, images, records, events } = rooms;
  const [traffic, held, named] = await Promise.all([
    Promise.all(
      pools.names().map(async (name) => ({
        status: pools.get(name),
        traffic: await pools.traffic(name).catch(() => undefined),
      })),
    ),
    images.store.list(),
    records.held().catch(() => undefined),
  ]);
  // Nothing is tried for a scrape: a check gives orders, if harmless ones.
  const parts = knownStatuses(rooms.ports, knownOf(rooms));
  const uptimeMs = Date.now() - startedAt;
  const { last } = events.after(Number.MAX_SAFE_INTEGER);
  const link = images.store.linkRate();
  return metricsText(
    siteMetrics({
      site,
      version,
      uptimeMs,
      pools: traffic,
      images: held,
      link,
      records: named,
      parts,
      events: last,
    }),
  );
}

function after(query: URLSearchParams): number {
  const text = query.get("after") ?? "0";
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new AgentError("invalid", {
    place: "events",
    problem: `\`after\` must be a whole number, got "${text.slice(0, 60)}"`,
    mend: "Give the `last` of the answer before.",
    attribute: ["after"],
  });
}

function digest(request: Request): string {
  return checkDigest(request.path.digest);
}

function transfer(request: Request): string {
  return checkTransferId(request.path.id);
}

function recordName(request: Request): string {
  return checkRecordName(request.path.name);
}

function ok(body: unknown): Answer {
  return { status: 200, body };
}

function accepted(body: unknown): Answer {
  return { status: 202, body };
}

function gone(): Answer {
  return { status: 204 };
}
