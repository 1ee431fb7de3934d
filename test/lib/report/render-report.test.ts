import fc from "fast-check";
import { renderReport, type RunRecord } from "../../../lib/report";
import { escapeText, formatClock, formatNumber } from "../../../lib/report/markup";
import { timeMarks, valueMarks } from "../../../lib/report/scale";
import { exampleRun } from "./support/example-run";

/** Every opened element is closed in order: a page that a browser must repair is not what was meant. */
function unbalanced(html: string): string | undefined {
  const empty = new Set(["meta", "br"]);
  const open: string[] = [];
  for (const [, closing, name, , selfClosed] of html.matchAll(/<(\/?)([a-z]+)((?:"[^"]*"|[^">])*?)(\/?)>/g)) {
    if (empty.has(name) || selfClosed) continue;
    if (!closing) open.push(name);
    else if (open.pop() !== name) return `</${name}> does not fit`;
  }
  return open.length === 0 ? undefined : `<${open.at(-1)}> stays open`;
}

/** `toContain` that does not print the whole page. */
function expectPart(page: string, part: string): void {
  expect(page.includes(part) ? part : "(not in the page)").toBe(part);
}

describe("the report", () => {
  const html = renderReport(exampleRun());

  it("is one well-formed page with no script and nothing from elsewhere", () => {
    expect(html.startsWith("<!doctype html>")).toBe(true);
    expect(unbalanced(html)).toBeUndefined();
    expect(html.match(/<script|<link|<img|<iframe|@import|url\(|\s(src|href|on[a-z]+)=|https?:/i)).toBeNull();
  });

  it("says first whether a request failed or a user was cut off", () => {
    expectPart(
      html,
      '<p class="verdict">None of 41,233 requests failed; no user was left at the cloud site when it was taken down.</p>',
    );
    const { totals } = exampleRun();
    const bad = renderReport({ ...exampleRun(), totals: { ...totals, failed: 7, sessionsAtTakeDown: 2 } });
    expectPart(
      bad,
      '<p class="verdict bad">7 of 41,233 requests failed; 2 users were still at the cloud site when it was taken down.</p>',
    );
    expectPart(
      renderReport({ ...exampleRun(), totals: { ...totals, requests: 0 } }),
      '<p class="verdict bad">No request was made: this run shows nothing.</p>',
    );
  });

  it("shows the totals, retries among them", () => {
    for (const [name, value] of [
      ["Requests", "41,233"],
      ["Retried", "12"],
      ["Image sent", "23.4 MB"],
      ["Applies", "3"],
    ]) {
      expect(html).toMatch(new RegExp(`<dt>${name}</dt><dd[^>]*>${value}<`));
    }
    expectPart(html, "of 48.0 MB, 51 % not sent");
  });

  it("draws demand, answers, weights, users and latency on the time axis of the phases, each with title and description", () => {
    for (const id of ["phases", "demand", "served", "weights", "sessions", "latency"]) {
      expectPart(html, `aria-labelledby="${id}-title ${id}-desc"`);
      expectPart(html, `<title id="${id}-title">`);
      expectPart(html, `<desc id="${id}-desc">`);
    }
    const labels = [...html.matchAll(/y="\d+" text-anchor="middle">(\d+:\d\d)</g)].map(([, label]) => label);
    expect(labels.filter((label) => label === "1:50")).toHaveLength(6);
    expect(html.match(/class="band out"/g)).toHaveLength(5 * 4);
    expect(html.match(/class="line demand"/g)).toHaveLength(2);
  });

  it("lists every decision with its reason, every apply and every phase", () => {
    const run = exampleRun();
    for (const { reason } of run.decisions)
      expectPart(html, `<div class="reason">${escapeText(reason)}</div>`);
    for (const { summary } of run.applies) expectPart(html, `<td>${summary}</td>`);
    expectPart(
      html,
      '<tr><td>drain</td><td class="number">1:06</td><td class="number">1:38</td><td class="number">32.3 s</td></tr>',
    );
  });

  it("tells an apply that was stopped on purpose from one that failed", () => {
    const run = exampleRun();
    const stopped = { startMs: 30_000, endMs: 31_000, ok: false, stopped: true, summary: "stopped" };
    const page = renderReport({ ...run, applies: [...run.applies, stopped] });
    expectPart(page, '<span class="soft">stopped</span>');
    expectPart(page, '<dt>Applies</dt><dd>4<span class="more">1 stopped, 2 decisions</span>');
    const failed = renderReport({ ...run, applies: [...run.applies, { ...stopped, stopped: false }] });
    expectPart(failed, '<span class="bad">failed</span>');
    expectPart(failed, '<dt>Applies</dt><dd class="bad">4<span class="more">1 failed, 2 decisions</span>');
  });

  it("gives the charts' figures as a table, a row a second", () => {
    const rows = html.slice(html.indexOf("<details>")).match(/<tr><td/g);
    expect(rows).toHaveLength(113);
  });

  it("shows failed answers as a line where there were any", () => {
    const run = exampleRun();
    const failing = renderReport({ ...run, totals: { ...run.totals, failed: 3 } });
    expectPart(failing, 'class="line failed"');
    expect(html.includes('class="line failed"')).toBe(false);
  });

  it("escapes whatever it is given", () => {
    const nasty = `<script>alert("x")</script>&'`;
    const run = exampleRun();
    const page = renderReport({
      ...run,
      title: nasty,
      subtitle: nasty,
      notes: [nasty],
      sites: [nasty, "cloud"],
      decisions: [{ atMs: 1, action: nasty, reason: nasty, weights: { [nasty]: 100 }, members: 1 }],
      applies: [{ startMs: 0, endMs: 1, ok: false, summary: nasty }],
    });
    expect(page.match(/<script/i)).toBeNull();
    expect(page.includes(nasty)).toBe(false);
    expect(page.split(escapeText(nasty)).length).toBeGreaterThan(10);
    expect(unbalanced(page)).toBeUndefined();
  });

  it("stays a well-formed page without NaN for any run, empty ones and broken figures too", () => {
    const number = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(Number.NaN, Infinity, -5, 0));
    const bySite = fc.dictionary(fc.constantFrom("onprem", "cloud", "other"), number);
    const time = fc.integer({ min: 0, max: 200_000 });
    const run: fc.Arbitrary<RunRecord> = fc.record({
      title: fc.string(),
      startedAt: fc.integer({ min: 0, max: 2_000_000_000_000 }),
      durationMs: time,
      sites: fc.subarray(["onprem", "cloud", "third"]),
      samples: fc.array(
        fc.record({
          atMs: time,
          offeredRps: number,
          capacityRps: bySite,
          servedRps: bySite,
          weights: bySite,
          sessions: bySite,
        }),
      ),
      phases: fc.array(
        fc.record({
          name: fc.constantFrom("transfer" as const, "burst" as const, "drain" as const),
          startMs: time,
          endMs: time,
        }),
      ),
      decisions: fc.array(
        fc.record({ atMs: time, action: fc.string(), reason: fc.string(), weights: bySite, members: number }),
      ),
      applies: fc.array(fc.record({ startMs: time, endMs: time, ok: fc.boolean(), summary: fc.string() })),
      totals: fc.record({
        requests: number,
        failed: number,
        retried: number,
        sessionsAtTakeDown: number,
        imageBytes: fc.nat(),
        imageBytesSent: fc.nat(),
      }),
    });
    fc.assert(
      fc.property(run, (record) => {
        const page = renderReport({ ...record, title: "t" });
        const drawn = page.slice(page.indexOf("<main>")).replace(/<(td|div|title|desc)[^>]*>[^<]*/g, "");
        expect(drawn.match(/.{0,40}(NaN|Infinity|undefined).{0,40}/)).toBeNull();
      }),
      { numRuns: 200 },
    );
  });
});

describe("marks of an axis", () => {
  it("are round, begin at 0, and the last is at or above the highest value", () => {
    expect(valueMarks(720)).toEqual([0, 200, 400, 600, 800]);
    expect(valueMarks(100, 2)).toEqual([0, 50, 100]);
    expect(valueMarks(0)[0]).toBe(0);
    fc.assert(
      fc.property(fc.double({ min: 1e-6, max: 1e9, noNaN: true }), (top) => {
        const marks = valueMarks(top);
        expect(marks[0]).toBe(0);
        expect(marks.at(-1)!).toBeGreaterThanOrEqual(top * (1 - 1e-9));
        expect(marks.at(-2)!).toBeLessThan(top);
        expect(marks.length).toBeLessThanOrEqual(6);
      }),
    );
  });

  it("of time are round and at most fourteen intervals", () => {
    expect(timeMarks(112_000)).toEqual(
      [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110].map((s) => s * 1_000),
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 90 * 86_400_000 }), (durationMs) => {
        expect(timeMarks(durationMs).length).toBeLessThanOrEqual(15);
      }),
    );
  });
});

describe("figures", () => {
  it("are written as people read them", () => {
    expect(formatNumber(41_233)).toBe("41,233");
    expect(formatNumber(Number.NaN)).toBe("–");
    expect([0, 7_400, 112_000, 3_729_000].map(formatClock)).toEqual(["0:00", "0:07", "1:52", "1:02:09"]);
    expect(escapeText(`<a href="x">'&`)).toBe("&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
  });
});
