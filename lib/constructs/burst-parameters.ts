import { TerraformOutput, TerraformVariable } from "cdktf";
import type { Construct } from "constructs";
import { quietParameters } from "../desired/quiet";

export interface ParametersProps {
  readonly variable: string;
  readonly parametersFile: string;
  readonly onPremSite: string;
  readonly cloudSite: string;
  readonly cloudMembers: number;
  /** May the file name another image than the declared one? */
  readonly choosesImage: boolean;
}

/** Declares the variable that holds a burst's parameters, quiet by default, and the output that repeats its decision. */
export function declareParameters(
  scope: Construct,
  props: ParametersProps,
): { variable: TerraformVariable; decision: TerraformOutput } {
  const { variable: name, onPremSite } = props;
  const variable = new TerraformVariable(scope, "parameters", {
    description: `Desired state of the burst, kept in ${props.parametersFile}`,
    type: 'object({burst=bool, cloud_members=number, weights=map(number), image_digest=optional(string), reason=optional(string, "")})',
    nullable: false,
  });
  variable.overrideLogicalId(name);
  // As an override, because CDKTF rewrites the keys of a default and would turn the site `rented-rack` into `rented_rack`.
  variable.addOverride("default", quietParameters({ onPremSite, cloudMembers: props.cloudMembers }));
  for (const { condition, problem, mend } of validations(props)) {
    variable.addValidation({
      condition: `\${${condition}}`,
      errorMessage: `${problem} Mend it in ${props.parametersFile}: ${mend}`,
    });
  }
  const decision = new TerraformOutput(scope, "decision", {
    description: "Whether the burst is out, how users are shared, and why",
    value: {
      burst: `\${var.${name}.burst}`,
      weights: `\${var.${name}.weights}`,
      reason: `\${var.${name}.reason}`,
    },
  });
  decision.overrideLogicalId(`${name}_decision`);
  return { variable, decision };
}

function validations({ variable, onPremSite, cloudSite, choosesImage }: ParametersProps) {
  const members = `var.${variable}.cloud_members`;
  const weights = `var.${variable}.weights`;
  const digest = `var.${variable}.image_digest`;
  return [
    {
      condition: `${members} >= 1 && floor(${members}) == ${members}`,
      problem: `\`${variable}.cloud_members\` must be a whole number of at least 1, got \${${members}}.`,
      mend: "to use no cloud, set `burst` to false.",
    },
    {
      condition: `alltrue([for site in keys(${weights}) : contains(["${onPremSite}", "${cloudSite}"], site)])`,
      problem: `\`${variable}.weights\` names a site that the burst does not have, got \${join(", ", keys(${weights}))}.`,
      mend: `its sites are ${onPremSite} and ${cloudSite}.`,
    },
    {
      condition: `alltrue([for weight in values(${weights}) : weight >= 1 && weight <= 100 && floor(weight) == weight])`,
      problem: `\`${variable}.weights\` must be whole numbers from 1 to 100, got \${jsonencode(${weights})}.`,
      mend: "to take a site out of service, leave it out.",
    },
    {
      condition: `sum(concat([0], values(${weights}))) == 100`,
      problem: `\`${variable}.weights\` must add up to 100, got \${sum(concat([0], values(${weights})))}.`,
      mend: "share out all 100 among the sites in service.",
    },
    {
      condition: `var.${variable}.burst || !contains(keys(${weights}), "${cloudSite}")`,
      problem: `\`${variable}.weights\` sends users to ${cloudSite} while \`burst\` is false.`,
      mend: `set \`burst\` to true, or give all 100 to ${onPremSite}.`,
    },
    choosesImage
      ? {
          condition: `${digest} == null ? true : can(regex("^sha256:[0-9a-f]{64}$", ${digest}))`,
          problem: `\`${variable}.image_digest\` must be null or sha256: and 64 lower-case hex digits.`,
          mend: "use null for the image that the stack declares.",
        }
      : {
          condition: `${digest} == null`,
          problem: `\`${variable}.image_digest\` must be null: in ${cloudSite}, members are launched from the image that the stack declares.`,
          mend: "set it to null, and change the image in the program.",
        },
  ];
}
