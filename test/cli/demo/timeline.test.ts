import { createTimeline, wrap, type TimelineStream } from "../../../cli/demo/timeline";
import { statusText } from "../../../cli/demo/status-line";
import type { HookEvent } from "../../../lib/hook/events";
import type { Decision } from "../../../lib/policy";

class Screen implements TimelineStream {
  text = "";
  constructor(
    readonly isTTY: boolean,
    readonly columns?: number,
  ) {}
  write(text: string): void {
    this.text += text;
  }
  /** What a terminal would show: `\r` and "erase line" applied, colours taken away. */
  lines(): string[] {
    return this.text.split("\n").map((line) =>
      line
        .split("\r\x1b[2K")
        .at(-1)!
        .replace(/\x1b\[\d*m/g, ""),
    );
  }
}

const START = 1_000_000;
const standing = {
  demandRps: 412,
  capacityRps: 800,
  servedBySite: { onprem: 55, cloud: 45 },
  sessionsBySite: { onprem: 52, cloud: 48 },
  failed: 0,
  now: "drain",
};

function timeline(screen: Screen, environment: Record<string, string> = {}) {
  return createTimeline({ stream: screen, startedAt: START, environment, now: () => START + 23_000 });
}

function decided(at: number, action: Decision["action"], members: number, reason: string): HookEvent {
  const desired = { burst: action !== "home", cloudMembers: members, weights: { onprem: 55, cloud: 45 } };
  return {
    at,
    kind: "decided",
    decision: { action, reason, desired, phase: "burst" } as unknown as Decision,
  };
}

describe("the timeline", () => {
  it("prints a line per event with the time since the start, plain where there is no terminal", () => {
    const screen = new Screen(false);
    const line = timeline(screen);
    line.say("lab", "two sites are up", "good", START + 1_400);
    line.site("cloud", {
      seq: 1,
      at: START + 72_000,
      kind: "gate-opened",
      subject: "shop",
      detail: "2 of 2 members up",
    });
    line.status(standing);
    line.end();
    expect(screen.text).toBe(
      "   0:01  lab        two sites are up\n   1:12  cloud      gate opened: shop, 2 of 2 members up\n",
    );
  });

  it("keeps a status line below the lines on a terminal, and takes it away at the end", () => {
    const screen = new Screen(true, 100);
    const line = timeline(screen);
    line.status(standing);
    expect(screen.lines().at(-1)).toMatch(
      /^0:23 \[#{10}-{10}\] 412 of 800\/s \| failed 0 \| onprem 55 %, 52 users/,
    );
    line.say("lab", "up");
    expect(screen.lines()[0]).toMatch(/lab {8}up$/);
    expect(screen.lines().at(-1)).toMatch(/^0:23 \[/);
    line.end();
    expect(screen.lines().at(-1)).toBe("");
  });

  it("never writes a line wider than the terminal", () => {
    for (const columns of [40, 60, 80, 133]) {
      const screen = new Screen(true, columns);
      const line = timeline(screen);
      line.status(standing);
      line.say("decide", "a reason ".repeat(30), "bright");
      line.say("image", "x".repeat(300));
      for (const shown of screen.lines()) expect(shown.length).toBeLessThan(columns);
      expect(screen.lines().join("").replace(/[^x]/g, "")).toHaveLength(300);
    }
  });

  it("uses colour on a terminal only, and not when NO_COLOR is set", () => {
    const painted = new Screen(true, 80);
    timeline(painted).say("lab", "up", "good");
    expect(painted.text).toContain("\x1b[32mup\x1b[0m");
    for (const [isTTY, environment] of [
      [false, {}],
      [true, { NO_COLOR: "1" }],
      [true, { TERM: "dumb" }],
    ] as const) {
      const plain = new Screen(isTTY, 80);
      timeline(plain, environment).say("lab", "up", "good");
      expect(plain.text).not.toContain("\x1b");
    }
  });

  it("does not let text from elsewhere break lines or move the cursor", () => {
    const screen = new Screen(false);
    timeline(screen).say("cloud", "bad\r\nnews\x1b[2J\x07 \u2013 here");
    expect(screen.text).toBe("   0:23  cloud      bad news[2J \u2013 here\n");
  });

  it("tells a wait when it begins, then at most every two seconds, with its ETA", () => {
    const screen = new Screen(false);
    const line = timeline(screen);
    const wait = (ms: number, left: number, subject = "cloud/shop") =>
      line.progress(
        {
          step: "quiesce",
          subject,
          message: `${left} users to leave`,
          fraction: 1 - left / 10,
          etaMs: left * 1_000,
        },
        START + ms,
      );
    wait(0, 10);
    wait(500, 9);
    wait(1_900, 7);
    wait(2_000, 6);
    wait(9_000, 6);
    wait(9_001, 3, "cloud/other");
    expect(screen.lines().filter(Boolean)).toEqual([
      "   0:00  quiesce    cloud/shop: 10 users to leave, 0 %, 10.0 s to go",
      "   0:02  quiesce    cloud/shop: 6 users to leave, 40 %, 6.0 s to go",
      "   0:09  quiesce    cloud/other: 3 users to leave, 70 %, 3.0 s to go",
    ]);
  });

  it("tells a decision once, with its reason, until another is made", () => {
    const screen = new Screen(false);
    const line = timeline(screen);
    line.hook(decided(START, "burst", 2, "utilisation 0.93 above 0.8"));
    line.hook(decided(START + 1_000, "hold", 2, "an apply runs"));
    line.hook(decided(START + 2_000, "burst", 2, "utilisation 0.95 above 0.8"));
    line.hook(decided(START + 9_000, "adjust", 3, "more"));
    expect(screen.lines().filter(Boolean)).toEqual([
      "   0:00  decide     burst: 2 in the cloud, onprem 55, cloud 45. utilisation 0.93 above 0.8",
      "   0:09  decide     adjust: 3 in the cloud, onprem 55, cloud 45. more",
    ]);
  });

  it("tells what the hook applies, and how it ended", () => {
    const screen = new Screen(false);
    const line = timeline(screen);
    line.hook({ at: START, kind: "planned", summary: "3 to add, 1 to change, 0 to destroy", markdown: "" });
    const cost = "about $0.19 an hour more";
    line.hook({ at: START, kind: "planned", summary: "1 to add", cost, markdown: "" });
    line.hook({ at: START, kind: "applying", pid: 4_711 });
    line.hook({
      at: START,
      kind: "terraform",
      event: { type: "apply_start", message: "spillway_pool.cloud: Creating..." },
    });
    line.hook({ at: START, kind: "terraform", event: { type: "version", message: "Terraform 1.11.4" } });
    line.hook({ at: START + 15_000, kind: "applied", changed: true, durationMs: 15_000 });
    line.hook({ at: START + 16_000, kind: "failed", problem: "no Terraform", failures: 1, nextTryAt: 0 });
    expect(screen.lines().filter(Boolean)).toEqual([
      "   0:00  plan       3 to add, 1 to change, 0 to destroy",
      "   0:00  plan       1 to add; about $0.19 an hour more",
      "   0:00  apply      terraform apply (process 4711)",
      "   0:00  terraform  spillway_pool.cloud: Creating...",
      "   0:15  apply      done in 15.0 s",
      "   0:16  failed     no Terraform",
    ]);
  });
});

describe("the status line", () => {
  it("leaves out from the right what does not fit", () => {
    expect(statusText(standing, "0:23", 200)).toBe(
      "0:23 [##########----------] 412 of 800/s | failed 0 | onprem 55 %, 52 users | cloud 45 %, 48 users | drain",
    );
    expect(statusText(standing, "0:23", 60)).toBe("0:23 [##########----------] 412 of 800/s | failed 0");
    expect(statusText(standing, "0:23", 10)).toHaveLength(10);
  });

  it("marks demand beyond capacity, and copes with none of either", () => {
    expect(statusText({ ...standing, demandRps: 900 }, "0:23", 40)).toContain("[!!!!!!!!!!!!!!!!!!!!]");
    expect(
      statusText({ ...standing, demandRps: 0, capacityRps: 0, servedBySite: {} }, "0:00", 200),
    ).toContain("[--------------------] 0 of 0/s | failed 0 | onprem 0 %, 52 users");
  });
});

describe("wrapping", () => {
  it("loses no word and breaks only where it must", () => {
    expect(wrap("one two three", 7)).toEqual(["one two", "three"]);
    expect(wrap("abcdefghij", 4)).toEqual(["abcd", "efgh", "ij"]);
    expect(wrap("short", Infinity)).toEqual(["short"]);
  });
});
