import { serveDirectory } from "../../../lib/image/targets/stdio/serve-directory";
import { EXIT } from "../../output";

export interface ServeOptions {
  readonly json?: boolean;
  readonly directory: string;
  readonly peek?: boolean;
  readonly existing?: boolean;
}

/** The far end of an ssh connection. Standard output is the line to the near end: nothing else may be written there. */
export async function run({ directory, peek = false, existing }: ServeOptions): Promise<number> {
  // The connection that this was started by may go while others are answered still.
  process.on("SIGHUP", () => undefined);
  const { stdin: input, stdout: output } = process;
  if (peek) {
    const { serveGlance } = await import("../../../lib/image/targets/stdio/serve-glance.js");
    await serveGlance(directory, { input, output });
    input.destroy();
    return EXIT.ok;
  }
  const isServed = await serveDirectory({ directory, mustExist: existing, input, output, open: openStore });
  input.destroy();
  return isServed ? EXIT.ok : EXIT.failed;
}

/** Only one of several needs the store: the others, where each stream needs a process, are to be small. */
async function openStore(directory: string) {
  return (await import("../../../lib/image/targets/directory.js")).openServedStore(directory);
}
