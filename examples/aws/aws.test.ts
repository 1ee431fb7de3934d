import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const ROOT = join(__dirname, "..", "..");

interface Stack {
  readonly resource: Record<string, Record<string, { readonly count?: string }>>;
  readonly "//": { readonly spillway: { readonly bursts: Record<string, object> } };
}

let dir: string;
let stack: Stack;
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "spillway-aws-example-"));
  stack = await synthesise(dir);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Runs the program in a folder, as `npx ts-node --swc main.ts` does. */
async function synthesise(folder: string, env: NodeJS.ProcessEnv = {}): Promise<Stack> {
  const tsNode = join(ROOT, "node_modules", "ts-node", "dist", "bin.js");
  await promisify(execFile)(process.execPath, [tsNode, "--swc", join(__dirname, "main.ts")], {
    cwd: folder,
    env: { ...process.env, ...env },
  });
  return JSON.parse(
    readFileSync(join(folder, "cdktf.out", "stacks", "shop", "cdk.tf.json"), "utf8"),
  ) as Stack;
}

test("the program makes these resources, of which only those with a price come and go", () => {
  const types = (goes: boolean) =>
    Object.entries(stack.resource).flatMap(([type, all]) =>
      Object.values(all).flatMap(({ count }) => ((count !== undefined) === goes ? [type] : [])),
    );
  expect(types(true).sort()).toEqual([
    ...["aws_ami", "aws_autoscaling_group", "aws_launch_template", "aws_lb", "aws_lb_listener"],
    ...["aws_route53_record", "spillway_gate", "spillway_image_replica"],
  ]);
  expect([...new Set(types(false))].sort()).toEqual([
    ...["aws_lb_target_group", "aws_route53_health_check", "aws_route53_record", "aws_security_group"],
    ...["aws_vpc_security_group_egress_rule", "aws_vpc_security_group_ingress_rule"],
  ]);
});

test("the hook is told of the burst", () => {
  expect(stack["//"].spillway.bursts["shop"]).toMatchObject({
    platform: { kind: "aws", autoScalingGroup: "shop", zone: "example.com" },
  });
});

test("its README shows the program as it is", () => {
  const readme = readFileSync(join(__dirname, "README.md"), "utf8");
  expect(readme).toContain(readFileSync(join(__dirname, "main.ts"), "utf8").trim());
});
