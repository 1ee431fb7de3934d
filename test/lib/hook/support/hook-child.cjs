/**
 * A hook in a process of its own, run from dist/: `node hook-child.cjs '{…}'`. It prints one line per event, and with `dieAt` kills
 * itself (SIGKILL) at that event, as a power cut would.
 */
const path = require("node:path");
const { readFileSync } = require("node:fs");
const root = path.join(__dirname, "..", "..", "..", "..");
const { runHook, loadManifest } = require(path.join(root, "dist/lib/hook"));

const { project, demandFile, dieAt, dieOn, leaseExpiryMs, waitForLease } = JSON.parse(process.argv[2]);
const { manifest, directories } = loadManifest(project);
const controller = new AbortController();
process.on("SIGTERM", () => controller.abort());

const site = (name, demandRps, members) => ({
  site: name,
  reachable: true,
  demandRps,
  members,
  membersUp: members,
  memberCapacityRps: 100,
  sessions: 0,
  openConnections: 0,
  queued: 0,
  p95Ms: 10,
  failedTotal: 0,
  linkBps: 1e8,
});

/** What a test calls an event: its kind, and for some what it is about. */
function nameOf(event) {
  if (event.kind === "terraform") return `${event.event.type} ${event.event.address ?? ""}`;
  if (event.kind === "decided" && event.decision.action !== "hold") return `decided ${event.decision.action}`;
  return event.kind;
}

let seen = 0;
runHook({
  manifest,
  directories,
  mode: "apply",
  signal: controller.signal,
  verifyTimeoutMs: 50,
  leaseExpiryMs,
  waitForLease,
  backOff: { firstMs: 100, longestMs: 200 },
  observe: async () => {
    const demandRps = Number(readFileSync(demandFile, "utf8"));
    return {
      at: Date.now(),
      onPrem: site("onprem", demandRps, 4),
      cloud: site("cloud", 0, 8),
      demandRps,
      replicaBytesLeft: 0,
      dnsTailMs: 0,
    };
  },
  onEvent: (event) => {
    const name = nameOf(event);
    process.stdout.write(`${JSON.stringify({ name, event })}\n`);
    if (name === dieOn && ++seen === dieAt) process.kill(process.pid, "SIGKILL");
  },
}).catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
