import { SpillwayError } from "../lib/errors";

/** Host and port of `127.0.0.1:7501`, `[::1]:7501` or `agent.example:7501`. @throws SpillwayError */
export function parseEndpoint(
  text: string,
  option: string,
): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) {
    throw new SpillwayError({
      place: option,
      problem: `\`${option}\` must be HOST:PORT, got "${text}"`,
      mend: `For example: ${option} 127.0.0.1:7501`,
    });
  }
  return { host: match[1] ?? match[2], port };
}
