import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync, chmodSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(__dirname, "..", "..");
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "mirror-test-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Lays a mirror out in another process: jest cannot load an ECMAScript module. */
function layOut(text: string): string[] {
  const script = `
    import { layOutMirror } from ${JSON.stringify(join(ROOT, "scripts", "mirror.mjs"))};
    const [directory, text] = process.argv.slice(1);
    console.log(JSON.stringify(layOutMirror({ directory, source: "acme/shop", version: "1.2.3", text })));
  `;
  return JSON.parse(
    execFileSync(process.execPath, ["--input-type=module", "-e", script, directory, text], {
      encoding: "utf8",
      cwd: ROOT,
    }),
  ) as string[];
}

test("a mirror has the executable for each registry and each platform, and nothing else", () => {
  const files = layOut("#!/bin/sh\n");
  expect(files.map((file) => file.slice(directory.length + 1))).toEqual(
    ["registry.terraform.io", "registry.opentofu.org"].flatMap((host) =>
      ["linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"].map(
        (platform) => `${host}/acme/shop/1.2.3/${platform}/terraform-provider-shop_v1.2.3`,
      ),
    ),
  );
  for (const file of files) {
    expect(statSync(file).mode & 0o777).toBe(0o755);
    expect(readFileSync(file, "utf8")).toBe("#!/bin/sh\n");
  }
  const all = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  expect(all).toHaveLength(files.length);
});

test("a file that is right already is left alone; one that is not is replaced as a whole", () => {
  const [file] = layOut("one\n") as [string];
  const before = statSync(file).ino;
  layOut("one\n");
  expect(statSync(file).ino).toBe(before);
  chmodSync(file, 0o644);
  layOut("one\n");
  expect(statSync(file).mode & 0o111).not.toBe(0);
  writeFileSync(file, "truncat");
  layOut("two\n");
  expect(readFileSync(file, "utf8")).toBe("two\n");
});

test("the built mirror holds Spillway's provider, and it starts", () => {
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
  const file = join(
    ROOT,
    `dist/mirror/registry.terraform.io/spillway/spillway/${version}/linux_amd64/terraform-provider-spillway_v${version}`,
  );
  const lines = readFileSync(file, "utf8").split("\n");
  expect(lines[0]).toBe("#!/bin/sh");
  // Readable: Terraform shows it to the user when it crashes.
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(1_500);
  expect(() => execFileSync(file, { encoding: "utf8", stdio: "pipe" })).toThrow(
    `This is the Terraform provider spillway ${version}`,
  );
});
