import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { contentOf, onlyJson, refusal, spillway } from "./support/spillway";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "spillway-init-cli-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test("writes a project into a folder of its name, and says what to do next", async () => {
  const { code, stdout, stderr } = await spillway(["init", "web-shop"], { cwd: dir });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/^ {2}main\.ts$/m);
  // A checkout that was built without its types is built with them first.
  expect(stdout).toMatch(
    /^Next: (\(cd \S+ && npm run build\) && )?cd web-shop && npm install && npm run plan$/m,
  );
  expect(existsSync(join(dir, "web-shop", "main.ts"))).toBe(true);
  expect(
    JSON.parse(readFileSync(join(dir, "web-shop", "desired", "web-shop.tfvars.json"), "utf8")),
  ).toMatchObject({
    web_shop: { burst: false },
  });
});

test("--json is one object with every file that it wrote; the name is shop unless said", async () => {
  const ended = await spillway(["init", "--json", "--dir", "here"], { cwd: dir });
  expect(ended.code).toBe(0);
  const { ok, dir: where, files } = onlyJson(ended) as { ok: boolean; dir: string; files: string[] };
  expect({ ok, where }).toEqual({ ok: true, where: join(dir, "here") });
  const written = Object.entries(contentOf(join(dir, "here"))).filter(
    ([, content]) => content !== "directory",
  );
  expect(written.map(([file]) => file).sort()).toEqual([...files].sort());
  expect(files).toContain("desired/shop.tfvars.json");
});

test.each(["Shop", "my shop", "1shop", "../shop", "spillway", "a".repeat(36)])(
  "refuses the name %p and writes nothing",
  async (name) => {
    const ended = await spillway(["init", "--json", name], { cwd: dir });
    expect(ended.code).toBe(1);
    expect(onlyJson(ended)).toEqual(
      refusal(expect.stringContaining(`"${name}"`), "spillway init", "Choose a name such as `shop`."),
    );
    expect(contentOf(dir)).toEqual({});
  },
);

test("overwrites nothing: every file in the way is named, and none is written", async () => {
  mkdirSync(join(dir, "shop"));
  for (const file of ["main.ts", "package.json"]) writeFileSync(join(dir, "shop", file), "mine");
  const ended = await spillway(["init", "--json"], { cwd: dir });
  expect(ended.code).toBe(1);
  const { errors } = onlyJson(ended) as { errors: { place: string; problem: string; mend: string }[] };
  expect(errors.map(({ place }) => place).sort()).toEqual(
    ["main.ts", "package.json"].map((file) => join(dir, "shop", file)),
  );
  for (const { problem, mend } of errors) {
    expect(problem).toContain("nothing is overwritten");
    expect(mend).toContain("--dir");
  }
  expect(contentOf(join(dir, "shop"))).toEqual({ "main.ts": "mine", "package.json": "mine" });
});

test("a second init in the same folder changes nothing of the first", async () => {
  await spillway(["init"], { cwd: dir });
  const before = contentOf(dir);
  const again = await spillway(["init"], { cwd: dir });
  expect(again.code).toBe(1);
  expect(again.stdout).toBe("");
  expect(again.stderr).toMatch(
    /^error: the file is there already, and nothing is overwritten\n {2}at: {3}\/.*\n {2}mend: /,
  );
  expect(contentOf(dir)).toEqual(before);
});
