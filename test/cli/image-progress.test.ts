import { PassThrough } from "node:stream";
import { barText, lineText, progressDisplay } from "../../cli/commands/image/context";

const PROGRESS = {
  step: "transfer",
  subject: "shop.raw",
  message: "sent 12.0 MB at 84.2 Mbit/s over 3 streams",
  fraction: 0.456,
  etaMs: 12_300,
} as const;

/** A terminal of that width, or none. */
function stream(columns?: number) {
  const made = new PassThrough() as PassThrough & { isTTY?: boolean; columns?: number };
  if (columns !== undefined) Object.assign(made, { isTTY: true, columns });
  return { stream: made as unknown as NodeJS.WriteStream, written: () => String(made.read() ?? "") };
}

describe("the progress of a transfer", () => {
  test("is a bar with part, ETA and rate", () => {
    expect(barText(PROGRESS, 200)).toBe(
      "[###########-------------]  45 %  ETA 12.3 s  sent 12.0 MB at 84.2 Mbit/s over 3 streams",
    );
  });

  test.each([10, 40, 79])("is never wider than a terminal of %d columns", (columns) => {
    expect(barText(PROGRESS, columns)).toHaveLength(columns);
    expect(barText({ ...PROGRESS, fraction: undefined }, 10)).toHaveLength(10);
  });

  test("is full at the end, and no more than that", () => {
    expect(barText({ ...PROGRESS, fraction: 1, etaMs: undefined }, 40)).toMatch(/^\[#{24}\] 100 % /);
  });

  test("is a line without the bar", () => {
    expect(lineText(PROGRESS)).toBe("45 %: sent 12.0 MB at 84.2 Mbit/s over 3 streams  ETA 12.3 s");
  });

  test("tells the terminal nothing that comes from elsewhere", () => {
    const { stream: terminal, written } = stream(80);
    const display = progressDisplay(terminal);
    display.tell("motd \x1b]0;title\x07 \x9b2J \x7f\ttab");
    expect(written()).toBe("motd \ufffd]0;title\ufffd \ufffd2J \ufffd\ttab\n");
    const message = "far\x1b[2J\nside";
    expect(barText({ ...PROGRESS, message, fraction: undefined }, 80)).toBe("far\ufffd[2J side");
    expect(lineText({ ...PROGRESS, message })).not.toContain("\x1b");
  });

  test("on a terminal is written over itself, and taken away at the end", () => {
    const { stream: terminal, written } = stream(80);
    const display = progressDisplay(terminal);
    display.progress(PROGRESS);
    display.progress(PROGRESS);
    display.tell("ssh: a word");
    display.end();
    display.progress(PROGRESS);
    display.end();
    const text = written();
    expect(text).toMatch(/^(\r\x1b\[K\[#+-+\] [^\n]*){2}\r\x1b\[Kssh: a word\n\r\x1b\[K\[#/);
    expect(text.endsWith("\r\x1b[K")).toBe(true);
  });

  test("elsewhere is a line now and then, without a control character", () => {
    const { stream: pipe, written } = stream();
    const display = progressDisplay(pipe);
    for (let i = 0; i < 50; i++) display.progress(PROGRESS);
    display.end();
    expect(written()).toBe(`${lineText(PROGRESS)}\n`);
  });
});
