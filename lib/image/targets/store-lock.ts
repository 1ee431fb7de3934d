import { basename, dirname } from "node:path";
import { SpillwayError } from "../../errors";
import { DirectoryLock, type Holder } from "../../site/agent/directory-lock";
import { TargetError } from "./errors";

/** Where an agent keeps its images, in its state directory. */
const AGENT_IMAGES = "images";

/** Another process has the store in this directory open, now. */
export class DirectoryInUse extends TargetError {
  constructor(directory: string, { pid, since }: Pick<Holder, "pid" | "since">) {
    super("image-in-use", {
      place: directory,
      problem: `another process works on the images in this directory: process ${pid}, since ${since}`,
      mend: "Let it come to its end, or stop it; then try again.",
    });
  }
}

/** One process at a time works on a directory of images. A process that was killed holds none. */
export class StoreLock {
  private constructor(private readonly lock: DirectoryLock) {}

  /**
   * @throws DirectoryInUse
   * @throws SpillwayError when it is the directory of an agent that runs
   */
  static async take(directory: string): Promise<StoreLock> {
    const isOfAgent = basename(directory) === AGENT_IMAGES;
    const agent = isOfAgent ? await DirectoryLock.holder(dirname(directory)) : undefined;
    if (agent) {
      throw new SpillwayError({
        place: directory,
        problem: `these are the images of a site's agent, which runs as process ${agent.pid}`,
        mend: "Push to the site (`site:NAME` or its https:// endpoint), or give another directory.",
      });
    }
    const held = (path: string, holder: Holder) => new DirectoryInUse(path, holder);
    return new StoreLock(await DirectoryLock.take(directory, { name: "store", held }));
  }

  release(): Promise<void> {
    return this.lock.release();
  }
}
