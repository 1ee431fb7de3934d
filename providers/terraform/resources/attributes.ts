import { SpillwayError } from "../../../lib/errors";

type Path = readonly (string | number)[];

/** The API's names that are not simply another spelling of an attribute's. */
const RENAMED: Readonly<Record<string, string>> = {
  image: "image_digest",
  "monitor.intervalMs": "interval",
  "monitor.timeoutMs": "timeout",
  sessionIdleMs: "session_idle",
  launchTimeoutMs: "launch_timeout",
  drainTimeoutMs: "drain_timeout",
  ttlSeconds: "ttl",
};

/** Runs `act`; what it throws about a part of the site's API is told of the attribute that the part came from. */
export async function inAttributes<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (!(error instanceof SpillwayError) || !error.report.attribute) throw error;
    throw new SpillwayError(
      { ...error.report, attribute: attributeOf(error.report.attribute) },
      { cause: error },
    );
  }
}

/** `["monitor", "intervalMs"]` is `["monitor", "interval"]`. */
export function attributeOf(path: Path): Path {
  return path.map((step, at) => {
    if (typeof step === "number") return step;
    const renamed = RENAMED[path.slice(0, at + 1).join(".")];
    // Keys of the environment are the user's own.
    if (renamed !== undefined || path[0] === "environment") return renamed ?? step;
    return step.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  });
}
