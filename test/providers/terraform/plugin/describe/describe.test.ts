import { providerMarkdown, providerSchemaJson } from "../../../../../providers/terraform/plugin";
import { servedShop } from "../support/served-shop";
import { shop } from "../support/shop-provider";

const { workspace } = servedShop();

test("the schema document is what Terraform itself would write", async () => {
  const w = workspace();
  w.write("");
  const source = "registry.terraform.io/test/shop";
  const written = JSON.parse((await w.start("providers", "schema", "-json").done).stdout) as unknown;
  expect(JSON.parse(JSON.stringify(providerSchemaJson(shop, source)))).toEqual(written);
});

test("the documentation has a page for everything, with what can be given and what comes back", () => {
  const pages = providerMarkdown(shop);
  expect(Object.keys(pages)).toEqual([
    "index",
    "resources/shop_server",
    "resources/shop_ticket",
    "data-sources/shop_price",
    "functions/sum",
  ]);
  const server = pages["resources/shop_server"]!;
  expect(server).toContain("# Resource `shop_server`\n\nA server of the shop.\n");
  expect(server).toContain("- `name` (string, required, a change replaces the resource) Its name.");
  expect(server).toContain("- `size` (number, default `1`) Units.");
  expect(server).toContain("- `password` (string, optional, write-only) Never kept.");
  expect(server).toContain("- `image` (string, optional, computed if left out) What it runs.");
  expect(server).toContain(
    "- `disks` (list of objects, optional) Its disks.\n  - `size` (number, required) Gigabytes.",
  );
  expect(server).toContain(
    "- `create` (string, optional) How long create may take, as a duration such as `90s` or `1h`. Default: 20 min 0 s.",
  );
  expect(server).toMatch(/## Attributes\n\n- `id` \(string\) Made up by the shop\.\n- `revision` \(number\)/);
  expect(server).toContain("terraform import shop_server.example ID");
  expect(pages["resources/shop_ticket"]).not.toContain("import");
  expect(pages["functions/sum"]).toContain("provider::shop::sum(values, base) number");
});
