import fc from "fast-check";
import type { RecordSpec } from "../../../lib/site/api";
import { answerContent, healthContent } from "../../../providers/powerdns/lua";

const spec = (...answers: readonly (readonly [address: string, weight: number])[]): RecordSpec => ({
  owner: "test",
  ttlSeconds: 30,
  answers: answers.map(([address, weight]) => ({ site: address, address, weight })),
});

describe("the content of a LUA record", () => {
  test("is a weighted choice, by address or by name", () => {
    expect(
      answerContent(spec(["192.0.2.1", 80], ["198.51.100.1", 20]), { select: "random", health: undefined }),
    ).toBe("A \";return pickwrandom({{80,'192.0.2.1'}, {20,'198.51.100.1'}})\"");
    expect(answerContent(spec(["2001:db8::1", 100]), { select: "client", health: undefined })).toBe(
      "AAAA \";return pickwhashed({{100,'2001:db8::1'}})\"",
    );
    expect(
      answerContent(spec(["lb.test", 100]), { select: "client", health: { type: "tcp", port: 80 } }),
    ).toBe("CNAME \";return pickwrandom({{100,'lb.test.'}})\"");
  });

  test("spells a check alike in the answer and in the health record, for its state is kept under all of it", () => {
    const health = { type: "http", port: 8080, path: "/up", match: "fine" } as const;
    const one = answerContent(spec(["192.0.2.1", 100]), { select: "random", health });
    const other = healthContent(["192.0.2.1"], health) ?? "";
    const options =
      "local o={selector='random',backupSelector='all',timeout='2',useragent='spillway-health',stringmatch='fine'}";
    for (const content of [one, other]) {
      const code = content.replaceAll('" "', " ");
      expect(code).toContain(options);
      expect(code).toContain("ifurlup('http://health.spillway.invalid:8080/up',{");
    }
    expect(healthContent([], health)).toBeUndefined();
    expect(healthContent(["192.0.2.1"], undefined)).toBeUndefined();
  });

  test("is cut between words, into strings that a zone transfer keeps as they are", () => {
    const address = fc.ipV4();
    fc.assert(
      fc.property(
        fc.array(fc.tuple(address, fc.integer({ min: 1, max: 100 })), { minLength: 1, maxLength: 40 }),
        (answers) => {
          const content = answerContent(spec(...answers), {
            select: "random",
            health: { type: "tcp", port: 443 },
          });
          const strings = [...content.matchAll(/"([^"]*)"/g)].map(([, text]) => text);
          for (const string of strings) expect(string.length).toBeLessThanOrEqual(255);
          const code = strings.join(" ");
          expect(code).toContain(
            `local all={${answers.map(([one, weight]) => `{${weight},'${one}'}`).join(", ")}} `,
          );
          expect(content).toBe(`A ${strings.map((text) => `"${text}"`).join(" ")}`);
        },
      ),
    );
  });
});
