import { openServedStore, serveDirectory } from "../../../lib/image/targets";
import { EXIT } from "../../output";

export interface ServeOptions {
  readonly json?: boolean;
  readonly directory: string;
}

/** The far end of an ssh connection. Standard output is the line to the near end: nothing else may be written there. */
export async function run({ directory }: ServeOptions): Promise<number> {
  // The connection that this was started by may go while others are answered still.
  process.on("SIGHUP", () => undefined);
  const { stdin: input, stdout: output } = process;
  const isServed = await serveDirectory({ directory, input, output, open: openServedStore });
  input.destroy();
  return isServed ? EXIT.ok : EXIT.failed;
}
