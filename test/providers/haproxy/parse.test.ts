import fc from "fast-check";
import {
  parseCsvLine,
  parseInfo,
  parseProc,
  parseServersState,
  parseStat,
  parseTable,
  parseTables,
  parseVersion,
} from "../../../providers/haproxy/parse";

const line = fc.string().map((text) => text.replace(/[\r\n]/g, " "));

describe("what HAProxy answers", () => {
  test("a CSV line gives back any fields that were written as RFC 4180 has them", () => {
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 12 }), (fields) => {
        const written = fields.map((field) =>
          /[",]/.test(field) || field.startsWith('"') ? `"${field.replace(/"/g, '""')}"` : field,
        );
        expect(parseCsvLine(written.join(","))).toEqual(fields);
      }),
    );
  });

  test("any text at all is parsed to something, never thrown at", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        parseStat(text);
        parseTable(`# table: t, type: string, size:1, used:1\n${text}`);
        parseTables(text);
        parseServersState(text);
        parseInfo(text);
        parseProc(text);
        parseVersion(text);
      }),
      { numRuns: 500 },
    );
  });

  test("rows of show stat are found by column, whatever columns a release adds", () => {
    const rows = parseStat(
      "# pxname,svname,qcur,new_column,status,\nweb,FRONTEND,,x,OPEN,\nweb,one,3,,UP 1/2,\n\nnonsense\n",
    );
    expect(rows.map(({ proxy, name }) => `${proxy}/${name}`)).toEqual(["web/FRONTEND", "web/one"]);
    expect([rows[1].number("qcur"), rows[1].column("status"), rows[0].number("qcur")]).toEqual([
      3,
      "UP 1/2",
      0,
    ]);
    expect([rows[1].column("no_such"), rows[1].number("status")]).toEqual(["", 0]);
  });

  test("entries of a stick table keep keys with blanks and equals signs, and values without their period", () => {
    const text = [
      "# table: spillway.a.users, type: string, size:100, used:2",
      "0x55d: key=one use=1 exp=29292 shard=0 gpt0=4000000000 http_req_rate(2000)=7",
      "0x55e: key=a\\ b\\=c use=0 gpt0=1",
      "",
    ].join("\n");
    const entries = parseTable(text);
    expect(entries?.map(({ key, use, expiresMs }) => ({ key, use, expiresMs }))).toEqual([
      { key: "one", use: 1, expiresMs: 29_292 },
      { key: "a b=c", use: 0, expiresMs: undefined },
    ]);
    expect([entries?.[0].value("gpt0"), entries?.[0].value("http_req_rate")]).toEqual([4_000_000_000, 7]);
    expect(parseTable("No such table\n")).toBeUndefined();
  });

  test("several tables of one answer are told apart, and those that are not there are missing", () => {
    const tables = parseTables(
      "# table: a, type: string, size:1, used:1\n0x1: key=x use=0 gpt0=1\n\nNo such table\n# table: c, type: string, size:1, used:0\n",
    );
    expect([...tables].map(([name, entries]) => [name, entries.length])).toEqual([
      ["a", 1],
      ["c", 0],
    ]);
  });

  test("the administrative state of a server is read bit by bit", () => {
    const header =
      "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_port";
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0x7f }), fc.integer({ min: 0, max: 3 }), (admin, state) => {
        const [server] = parseServersState(`${header}\n9 b 1 one 127.0.0.1 ${state} ${admin} 2 2 8080\n`);
        expect(server.running).toBe(state > 0);
        expect(server.inMaintenance).toBe([1, 2, 4, 0x20, 0x40].some((bit) => (admin & bit) !== 0));
        expect(server.draining).toBe([8, 0x10].some((bit) => (admin & bit) !== 0));
        expect([server.name, server.address, server.port, server.weight]).toEqual([
          "one",
          "127.0.0.1",
          8080,
          2,
        ]);
      }),
    );
  });

  test("a master's workers come with the present one first", () => {
    const text = [
      "#<PID>          <type>          <reloads>       <uptime>        <version>",
      "100             master          2 [failed: 0]   0d00h02m27s     2.6.12",
      "# workers",
      "103             worker          0               0d00h00m07s     2.6.12",
      "# old workers",
      "101             worker          2               0d00h02m27s     2.6.12",
      "102             worker          1               0d00h01m27s     2.6.12",
      "# programs",
      "",
    ].join("\n");
    expect(parseProc(text)).toEqual([
      { pid: 103, old: false },
      { pid: 101, old: true },
      { pid: 102, old: true },
    ]);
  });

  test("versions are read as packagers write them", () => {
    expect(parseVersion("2.6.12-1+deb12u4")).toEqual({ major: 2, minor: 6 });
    expect(parseVersion("3.0-dev")).toEqual({ major: 3, minor: 0 });
    expect(parseVersion("unknown")).toBeUndefined();
  });
});
