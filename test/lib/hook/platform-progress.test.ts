import { platformProgress } from "../../../lib/hook/platform-progress";

const of = (type: string, address: string, action: string, elapsedSeconds?: number) =>
  platformProgress({
    type,
    message: "",
    address,
    action,
    ...(elapsedSeconds === undefined ? {} : { elapsedSeconds }),
  });

test("what Terraform makes on a platform is told as a step of the burst", () => {
  expect(of("apply_start", "aws_ami.shop[0]", "create")).toEqual({
    ...{ step: "transfer", subject: "aws_ami.shop[0]", message: "being made" },
  });
  expect(of("apply_progress", "module.burst.aws_autoscaling_group.shop", "create", 70)).toMatchObject({
    step: "launch",
    message: "being made for 1 min 10 s",
  });
  expect(of("apply_complete", 'aws_route53_record.cloud["a"]', "delete")).toMatchObject({
    step: "direct",
    message: "removed",
    fraction: 1,
  });
  expect(of("apply_start", "aws_autoscaling_group.shop[0]", "delete")?.step).toBe("take-down");
});

test("what tells of itself, or is nothing of a burst, is left out", () => {
  expect(of("apply_start", "spillway_gate.shop[0]", "create")).toBeUndefined();
  expect(of("apply_start", "aws_iam_role.shop", "create")).toBeUndefined();
  expect(of("apply_errored", "aws_lb.shop", "create")).toBeUndefined();
  expect(of("apply_start", "aws_lb.shop", "no-op")).toBeUndefined();
});
