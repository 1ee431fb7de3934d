import { tryParsePoolId } from "../../../lib/steps";
import { a, timeouts } from "../plugin";
import { isAtLeast, isDuration, isOneOf } from "./checks";
import { awsAttributes } from "./gate-aws-schema";
import { monitorAttributes } from "./monitor";
import { queriesAttribute } from "./prometheus";

const isPoolId = (text: string) =>
  tryParsePoolId(text)
    ? undefined
    : { problem: "must be a pool's id", mend: "Refer to the `id` of a pool (SITE/NAME)." };

/** The attributes of `spillway_gate`. */
export const gateSchema = {
  id: a
    .string()
    .computed()
    .keepPrior()
    .describe("`SITE/NAME#GENERATION`; with `aws`: `aws/REGION/TARGETGROUP#GENERATION`."),
  pool: a
    .string()
    .optional()
    .forceNew()
    .check(isPoolId)
    .describe("The id of the pool behind it. Exactly one of `pool` and `aws` is given."),
  aws: a
    .nested(awsAttributes)
    .optional()
    .describe(
      "A pool on AWS, seen through its target group: no agent, and nothing else of Spillway, is needed there.",
    ),
  monitor: a
    .nested(monitorAttributes("1s"))
    .default({})
    .describe(
      "How the pool is probed, from the machine that runs Terraform. Used when the gate opens; with `aws` only if it has an `endpoint`.",
    ),
  successes: a
    .integer()
    .default(3)
    .check(isAtLeast(1))
    .describe(
      "Good answers in a row that open it. A bad one, or a member that goes down meanwhile, begins the row anew.",
    ),
  min_members: a
    .integer()
    .optional()
    .check(isAtLeast(1))
    .describe(
      "Members that must be up. Default: all the pool's members; with `aws` the desired capacity of its `auto_scaling_group`, or 1.",
    ),
  open_when: queriesAttribute(
    "PromQL by name: for each good answer of the row, every one must give at least one number, and none that is 0, NaN or infinite. No data does not hold. Write comparisons that hold for 0 with `bool`: `errors == bool 0`.",
  ),
  users: queriesAttribute(
    "PromQL by name: users whom others see. It closes only when each has been 0 for the quiet period as well; no data is not 0. Let `quiet_period` be longer than the scrape interval.",
  ),
  quiet_period: a
    .string()
    .default("10s")
    .check(isDuration)
    .describe(
      "It closes when no session was seen for so long. Metrics have a value a minute, so with `aws` it is rounded up to whole minutes.",
    ),
  record_ttl: a
    .integer()
    .default(30)
    .check(isAtLeast(0))
    .describe(
      "Seconds for which stale answers may live after the record's change. It does not close before they are over.",
    ),
  on_deadline: a
    .string()
    .default("hold")
    .check(isOneOf("hold", "force"))
    .describe(
      "What happens when users are still there at `timeouts.delete`. `hold`: nothing is taken down and the apply fails. `force`: they are cut off.",
    ),
  timeouts: timeouts({ create: "5m", delete: "1h" }),
  site: a.string().computed().keepPrior().describe("The pool's site; with `aws`: `aws/REGION`."),
};
