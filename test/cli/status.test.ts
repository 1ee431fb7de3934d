import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { acquireLease, stateDirectory } from "../../lib/hook";
import { writeStatus } from "../../lib/hook/status";
import { MANIFEST } from "../lib/hook/support/stack";
import { spillway } from "./support/spillway";

test("status tells how far the transfer of a burst is, and how long it still takes", async () => {
  const dir = mkdtempSync(join(tmpdir(), "spillway-status-"));
  const files = stateDirectory(dir, "shop");
  mkdirSync(dirname(files.status), { recursive: true });
  writeFileSync(join(dir, "spillway.json"), JSON.stringify({ bursts: { shop: MANIFEST } }));
  const lease = await acquireLease({
    ...{ file: files.lease, wait: false, signal: new AbortController().signal },
  });
  try {
    const now = Date.now();
    writeStatus(files.status, {
      ...{ version: 1, burst: "shop", mode: "apply", pid: process.pid, updatedAt: now, failures: 0 },
      ...{ phase: "bursting", phaseSince: now - 5_000, next: "the apply ends" },
      running: {
        since: now - 5_000,
        step: "apply",
        progress: {
          ...{ at: now, step: "transfer", subject: "shop.img", message: "1.2 GB of 2.0 GB are there" },
          ...{ fraction: 0.619, etaMs: 12_000 },
        },
      },
    });
    const { stdout } = await spillway(["status"], {
      cwd: dir,
      env: { SPILLWAY_TOKEN: "some-token-0123456789", XDG_CONFIG_HOME: join(dir, "config") },
    });
    expect(stdout).toMatch(
      /^hook shop: running for .* s: transfer shop\.img: 1\.2 GB of 2\.0 GB are there, 61 %, 12\.0 s to go$/m,
    );
  } finally {
    lease.release();
    rmSync(dir, { recursive: true, force: true });
  }
});
