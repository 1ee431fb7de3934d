import { writeSync } from "node:fs";
import type { Logger } from "../runtime/operation";

/**
 * Terraform reads a plugin's standard error and takes JSON lines of this form into its own log. Time with exactly six fractional
 * digits: with any other it counts the line as plain text.
 */
export function terraformLog(providerName: string): Logger {
  if (!process.env.TF_LOG && !process.env.TF_LOG_PROVIDER) return () => undefined;
  return (level, message, fields) => {
    const line = {
      ...fields,
      "@level": level,
      "@message": message,
      "@module": `provider.${providerName}`,
      "@timestamp": new Date().toISOString().replace("Z", "000Z"),
    };
    try {
      writeSync(2, `${JSON.stringify(line)}\n`);
    } catch {
      // A log that nobody reads (Terraform is gone) must not end the operation.
    }
  };
}
