import { parsePlan, renderMarkdown, summarise, type JsonObject, type PlanModel } from "../../../lib/review";
import { Stack } from "./real-plan";

const SECRET = "correct-horse-battery-staple";

let stack: Stack;
let json: string;
let model: PlanModel;

beforeAll(() => {
  stack = new Stack();
  stack.write(`
variable "password" {
  type      = string
  sensitive = true
  default   = "${SECRET}"
}
resource "terraform_data" "keyed" {
  for_each = toset(["a", "b"])
  input    = { weight = 80, note = "\`tick\` <b>", list = [1, 2] }
}
resource "terraform_data" "counted" {
  count = 2
}
resource "terraform_data" "secret" {
  input = { user = "app", password = var.password }
}
resource "terraform_data" "copied" {
  input = "postgres://app:\${nonsensitive(var.password)}@db"
}
resource "terraform_data" "replaced" {
  triggers_replace = ["one"]
  input            = "same"
}
resource "terraform_data" "careful" {
  triggers_replace = ["one"]
  lifecycle {
    create_before_destroy = true
  }
}
resource "terraform_data" "old_name" {}
resource "terraform_data" "forgotten" {}
output "reason" {
  value = "demand 100 rps"
}
output "password" {
  value     = var.password
  sensitive = true
}
`);
  stack.apply();
  stack.write(`
variable "password" {
  type      = string
  sensitive = true
  default   = "${SECRET}-new"
}
resource "terraform_data" "keyed" {
  for_each = toset(["a", "b"])
  input    = { weight = 50, note = "\`tick\` <b>", list = [1, 3] }
}
resource "terraform_data" "counted" {
  count = 1
}
resource "terraform_data" "secret" {
  input = { user = "app", password = var.password }
}
resource "terraform_data" "copied" {
  input = "postgres://app:\${nonsensitive(var.password)}@db"
}
resource "terraform_data" "replaced" {
  triggers_replace = ["two"]
  input            = "same"
}
resource "terraform_data" "careful" {
  triggers_replace = ["two"]
  lifecycle {
    create_before_destroy = true
  }
}
moved {
  from = terraform_data.old_name
  to   = terraform_data.new_name
}
removed {
  from = terraform_data.forgotten
  lifecycle {
    destroy = false
  }
}
resource "terraform_data" "new_name" {}
resource "terraform_data" "created" {
  input = terraform_data.replaced.id
}
check "always_wrong" {
  assert {
    condition     = length(terraform_data.counted) == 7
    error_message = "there should be seven"
  }
}
output "reason" {
  value = "demand 412 rps"
}
output "password" {
  value     = var.password
  sensitive = true
}
`);
  json = stack.plan();
  model = parsePlan(json);
});

afterAll(() => stack.remove());

const change = (address: string) => model.changes.find((candidate) => candidate.address === address);

test("every kind of change is read from a real plan", () => {
  const actions = Object.fromEntries(model.changes.map(({ address, action }) => [address, action]));
  expect(actions).toEqual({
    "terraform_data.careful": "replace",
    "terraform_data.copied": "update",
    "terraform_data.counted[0]": "no-op",
    "terraform_data.counted[1]": "delete",
    "terraform_data.created": "create",
    "terraform_data.forgotten": "forget",
    'terraform_data.keyed["a"]': "update",
    'terraform_data.keyed["b"]': "update",
    "terraform_data.new_name": "move",
    "terraform_data.replaced": "replace",
    "terraform_data.secret": "update",
  });
  expect(change('terraform_data.keyed["a"]')?.baseAddress).toBe("terraform_data.keyed");
  expect(change("terraform_data.counted[1]")).toMatchObject({
    baseAddress: "terraform_data.counted",
    actionReason: "delete_because_count_index",
  });
  expect(model).toMatchObject({ formatVersion: "1.2", complete: true, errored: false });
});

test("a replacement says what forces it, and which of the two comes first", () => {
  expect(change("terraform_data.replaced")).toMatchObject({
    forcedBy: ["triggers_replace"],
    createFirst: false,
  });
  expect(change("terraform_data.careful")).toMatchObject({
    forcedBy: ["triggers_replace"],
    createFirst: true,
  });
});

test("an update lists the attributes that differ, and no others", () => {
  const attributes = change('terraform_data.keyed["a"]')?.attributes.filter(({ path }) =>
    path.startsWith("input"),
  );
  expect(attributes).toEqual([
    { path: "input.list[1]", before: 2, after: 3, afterUnknown: false, sensitive: false },
    { path: "input.weight", before: 80, after: 50, afterUnknown: false, sensitive: false },
  ]);
});

test("secrets are in neither model nor Markdown: not masked ones, not copies of them without a mask, not inside other text", () => {
  expect(json).toContain(SECRET);
  expect(JSON.stringify(model)).not.toContain(SECRET);
  expect(renderMarkdown(model)).not.toContain(SECRET);
  expect(change("terraform_data.copied")?.after).toMatchObject({ input: "postgres://app:(sensitive)@db" });
  expect(change("terraform_data.secret")?.after).toMatchObject({
    input: { user: "app", password: "(sensitive)" },
  });
  expect(model.outputs).toContainEqual(
    expect.objectContaining({ name: "password", sensitive: true, after: "(sensitive)" }),
  );
});

test("the Markdown says the verdict first, then what is replaced or destroyed", () => {
  const text = renderMarkdown(model);
  expect(text)
    .toBe(`**2 replaced, 1 destroyed, 1 forgotten, 4 updated, 1 created, 1 moved; 1 check(s) failed.**

### Replaced and destroyed

- \`terraform_data.careful\` **replaced** (the new one first), forced by \`triggers_replace\`
  - \`triggers_replace[0]\`: \`"one"\` → \`"two"\`
- \`terraform_data.counted[1]\` **destroyed**: the count no longer reaches it
- \`terraform_data.forgotten\` leaves Terraform, but is not destroyed
- \`terraform_data.replaced\` **replaced** (the old one first), forced by \`triggers_replace\`
  - \`triggers_replace[0]\`: \`"one"\` → \`"two"\`

### Updated

- \`terraform_data.copied\`
  - \`input\`: \`"postgres://app:(sensitive)@db"\` changed
- \`terraform_data.keyed["a"]\`
  - \`input.list[1]\`: \`2\` → \`3\`
  - \`input.weight\`: \`80\` → \`50\`
- \`terraform_data.keyed["b"]\`
  - \`input.list[1]\`: \`2\` → \`3\`
  - \`input.weight\`: \`80\` → \`50\`
- \`terraform_data.secret\`
  - \`input.password\`: \`"(sensitive)"\` changed

### Outputs

- \`password\`: \`"(sensitive)"\` changed
- \`reason\`: \`"demand 100 rps"\` → \`"demand 412 rps"\`

<details><summary>1 created</summary>

- \`terraform_data.created\`

</details>

<details><summary>1 imported or moved</summary>

- \`terraform_data.new_name\` from \`terraform_data.old_name\`

</details>

### Failed checks

- \`check.always_wrong\`: fail \`there should be seven\`
`);
});

test("the same plan gives the same bytes, whatever the order of its lists and keys", () => {
  const plan = JSON.parse(json) as Record<string, unknown[]>;
  const turned = reverseKeys({ ...plan, resource_changes: [...(plan.resource_changes ?? [])].reverse() });
  expect(renderMarkdown(parsePlan(turned as JsonObject))).toBe(renderMarkdown(model));
  const planned = JSON.parse(stack.plan()) as JsonObject;
  expect(renderMarkdown(parsePlan({ ...planned, timestamp: "2030-01-01T00:00:00Z" }))).toBe(
    renderMarkdown(model),
  );
});

test("a plan without a change says so in one line", () => {
  const quiet = new Stack();
  try {
    quiet.write('resource "terraform_data" "a" {}');
    quiet.apply();
    const plan = parsePlan(quiet.plan());
    expect(renderMarkdown(plan)).toBe("**No changes.**\n");
    expect(summarise(plan)).toBe("no changes");
  } finally {
    quiet.remove();
  }
});

test("a long plan loses detail, never what is destroyed first, and stays under the limit", () => {
  const entry = (index: number, actions: string[]) => ({
    address: `terraform_data.resource_with_a_rather_long_name[${index}]`,
    mode: "managed",
    type: "terraform_data",
    name: "resource_with_a_rather_long_name",
    index,
    change: {
      actions,
      before: { input: { a: "x".repeat(500), b: index } },
      after: actions.includes("delete") ? null : { input: { a: "y".repeat(500), b: index + 1 } },
    },
  });
  const plan = (count: number) =>
    parsePlan({
      format_version: "1.2",
      resource_changes: [
        ...Array.from({ length: count }, (_, index) => entry(index, ["update"])),
        ...Array.from({ length: 3 }, (_, index) => entry(100_000 + index, ["delete"])),
      ] as unknown as JsonObject[],
    });
  let before = Infinity;
  for (const count of [50, 200, 900, 5_000]) {
    const text = renderMarkdown(plan(count));
    expect(text.length).toBeLessThanOrEqual(60_000);
    expect(text.startsWith(`**3 destroyed, ${count} updated.**`)).toBe(true);
    expect(text).toContain("terraform_data.resource_with_a_rather_long_name[100002]` **destroyed**");
    expect(text.length / count).toBeLessThan(before);
    before = text.length / count;
  }
  expect(renderMarkdown(plan(5_000), { limit: 30 }).length).toBeLessThanOrEqual(30);
});

test("a value cannot break out of its code span, nor a line out of its list", () => {
  const text = renderMarkdown(
    parsePlan({
      format_version: "1.2",
      resource_changes: [
        {
          address: "a.b",
          type: "a",
          name: "b",
          change: { actions: ["update"], before: { v: "x" }, after: { v: "``` `<img>`\n# title" } },
        },
      ],
    }),
  );
  expect(text).toContain('`"x"` → ````"``` `<img>`\\n# title"````');
  expect(text.split("\n").some((line) => line.startsWith("#") && line.includes("title"))).toBe(false);
});

test("what is no plan, or of another major version, is refused with what to do", () => {
  expect(() => parsePlan("nonsense")).toThrow(/not the JSON of a Terraform plan.*terraform show -json/s);
  expect(() => parsePlan("[]")).toThrow(/no JSON object/);
  expect(() => parsePlan("{}")).toThrow(/no `format_version`/);
  expect(() => parsePlan({ format_version: "2.0", resource_changes: [] })).toThrow(/"2\.0".*only 1\.x/);
});

test("fields that are not known are passed over, missing ones are missed by nobody", () => {
  const plan = parsePlan({ format_version: "1.99", resource_changes: [{}], something_new: { a: 1 } });
  expect(plan.changes).toMatchObject([{ address: "unknown address", action: "no-op" }]);
});

function reverseKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reverseKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, inner]) => [key, reverseKeys(inner)]),
  );
}
