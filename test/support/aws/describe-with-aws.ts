import { describeUnless } from "../daemons";
import { has } from "../daemons";
import { AWS_PROVIDER_VERSION, findAwsProvider } from "./provider-mirror";

/**
 * Tests that apply with the real AWS provider against an emulator of AWS. In CI always (there they fail when something is missing);
 * elsewhere they are skipped where something is missing, and it is said what.
 */
export function describeWithAws(title: string, body: () => void): void {
  describeUnless(missing(), title, body);
}

function missing(): string[] {
  const lacking: string[] = [];
  if (!has("moto_server")) lacking.push("moto_server not found; install it with pip install 'moto[server]'");
  if (!has("terraform") && !has("tofu") && !process.env.SPILLWAY_TERRAFORM)
    lacking.push("terraform not found; install it, or name it in SPILLWAY_TERRAFORM");
  if (!findAwsProvider())
    lacking.push(
      `no filesystem mirror with hashicorp/aws ${AWS_PROVIDER_VERSION} found, and no registry answers; name one in SPILLWAY_AWS_PROVIDER_MIRROR`,
    );
  return lacking;
}
