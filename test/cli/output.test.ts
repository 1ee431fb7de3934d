import { jsonLine, printError, table } from "../../cli/output";
import { SpillwayError } from "../../lib/errors";

const NASTY = "a\x1b[31m\x9b2J\x7f\rb";

/** What is written to a stream meanwhile. */
function written(stream: NodeJS.WriteStream, work: () => void): string {
  let text = "";
  const write = jest.spyOn(stream, "write").mockImplementation((chunk) => {
    text += String(chunk);
    return true;
  });
  try {
    work();
  } finally {
    write.mockRestore();
  }
  return text;
}

describe("what comes from elsewhere", () => {
  const error = new SpillwayError({ place: NASTY, problem: `${NASTY}\nmore`, mend: NASTY });

  test("gives a terminal no orders in errors", () => {
    const text = written(process.stderr, () => printError(error, false));
    expect(text).not.toMatch(/(?!\n)\p{Cc}/u);
    expect(text).toContain("a\ufffd[31m\ufffd2J\ufffd\ufffdb\nmore");
  });

  test("gives it none as JSON either, and loses nothing there", () => {
    const text = written(process.stdout, () => printError(error, true));
    expect(text).not.toMatch(/(?!\n)\p{Cc}/u);
    expect(JSON.parse(text)).toMatchObject({ errors: [{ place: NASTY, problem: `${NASTY}\nmore` }] });
  });

  test("gives it none in what a command has done", () => {
    const text = jsonLine({ ok: true, target: NASTY });
    expect(text).toMatch(/^[ -~]+\n$/);
    expect(text).toContain("\\u009b2J\\u007f");
    expect(JSON.parse(text)).toEqual({ ok: true, target: NASTY });
  });

  test("gives it none in tables", () => {
    expect(table([[NASTY, "x"]])).not.toMatch(/\p{Cc}/u);
  });
});
