/**
 * The five steps of a burst as plain functions, without Terraform and without Pulumi; both are fronts on these.
 *
 * | step      | out                                   | home |
 * |-----------|---------------------------------------|------|
 * | transfer  | {@link transferImage}                 | {@link dropImage} |
 * | launch    | {@link launchPool}                    | |
 * | direct    | {@link openGate}, {@link directUsers} | {@link directUsers}, {@link removeRecord} |
 * | quiesce   |                                       | {@link siphonUsers} |
 * | take-down |                                       | {@link takeDownPool} |
 */
export * from "./direct";
export * from "./launch";
export * from "./names";
export * from "./quiesce";
export * from "./take-down";
export * from "./transfer";
