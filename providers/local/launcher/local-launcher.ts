import { access, constants } from "node:fs/promises";
import { delimiter, join, resolve } from "node:path";
import { AbortedError } from "../../../lib/errors";
import type { LaunchRequest, Launcher, MemberHandle } from "../../../lib/site/ports";
import { type ProcessHandle, baseEnvironment, endProcess, isSameProcess, startDetached } from "../process";
import { claimant, claiming, newAttempt } from "./claim";
import { badImage } from "./errors";
import { freePort } from "./free-port";
import { MemberLogs } from "./member-logs";
import { type MemberRecord, MemberRecords } from "./member-records";
import { type UnpackedImage, UnpackedImages } from "./unpacked-images";

/**
 * Launches members as processes of this machine, from images that are plain tar archives. A member runs on when the agent dies:
 * all that is needed to find it again is in `stateDir`.
 */
export class LocalLauncher implements Launcher {
  private readonly records: MemberRecords;
  private readonly logs: MemberLogs;
  private readonly images: UnpackedImages;
  private readonly busy = new Map<string, Promise<unknown>>();
  /** Ports given to launches that have not written their record yet. */
  private readonly given = new Set<number>();
  private opened: Promise<void> | undefined;

  constructor(options: {
    /** The site's state directory; the launcher uses `launcher`, `logs` and `unpacked` in it. */
    readonly stateDir: string;
  }) {
    this.records = new MemberRecords(join(options.stateDir, "launcher"));
    this.logs = new MemberLogs(join(options.stateDir, "logs"));
    this.images = new UnpackedImages(join(options.stateDir, "unpacked"));
  }

  async launch(request: LaunchRequest, signal: AbortSignal): Promise<MemberHandle> {
    await this.open();
    return this.alone(request.id, async () => {
      const before = await this.records.read(request.id);
      if (before) {
        const process = await this.processOf(before);
        if (process && (await isSameProcess(process))) return handleOf({ ...before, process });
        // Its children may have outlived it.
        if (process) await endProcess(process, 0);
        await this.records.remove(request.id);
      }
      const image = await this.images.get(request.digest, request.imagePath, signal);
      const command = await commandOf(request.digest, image);
      if (signal.aborted) throw new AbortedError(`stopped before member ${request.id} was launched`);
      return this.start(request, image, command);
    });
  }

  async isRunning(handle: MemberHandle): Promise<boolean> {
    await this.logs.limit(handle.id);
    const process = noted(handle) ?? (await this.alone(handle.id, () => this.find(handle.id)));
    return process !== undefined && (await isSameProcess(process));
  }

  /** A handle of which only the id is known ends what a cut-off launch of that id left behind. */
  async end(handle: MemberHandle, graceMs: number): Promise<void> {
    await this.open();
    await this.alone(handle.id, async () => {
      const processes = [noted(handle), await this.find(handle.id)];
      await Promise.all(processes.map((process) => process && endProcess(process, graceMs)));
      await this.records.remove(handle.id);
    });
  }

  lastWords(handle: MemberHandle): Promise<string> {
    return this.logs.lastWords(handle.id);
  }

  async forget(digest: string): Promise<void> {
    await this.open();
    await this.images.remove(digest);
  }

  private async start(
    request: LaunchRequest,
    image: UnpackedImage,
    command: readonly string[],
  ): Promise<MemberHandle> {
    const port = await freePort(request.address, new Set([...(await this.records.ports()), ...this.given]));
    this.given.add(port);
    try {
      const { id, digest, address } = request;
      const record: MemberRecord = { id, digest, address, port, attempt: newAttempt() };
      await this.records.write(record);
      await this.logs.begin(id);
      const process = await startDetached({
        ...claiming(this.records.claimFile(record), command),
        cwd: image.directory,
        logFile: this.logs.path(id),
        env: {
          ...image.member.environment,
          ...request.environment,
          HOST: address,
          PORT: String(port),
          SPILLWAY_SITE: request.site,
          SPILLWAY_POOL: request.pool,
          SPILLWAY_MEMBER: id,
        },
      });
      const started = { ...record, process };
      await this.records.write(started);
      return handleOf(started);
    } finally {
      this.given.delete(port);
    }
  }

  private async find(id: string): Promise<ProcessHandle | undefined> {
    const record = await this.records.read(id);
    return record && this.processOf(record);
  }

  private async processOf(record: MemberRecord): Promise<ProcessHandle | undefined> {
    return record.process ?? (await claimant(this.records.claimFile(record)));
  }

  private open(): Promise<void> {
    this.opened ??= Promise.all([this.records.open(), this.logs.open(), this.images.open()]).then(
      () => undefined,
    );
    return this.opened;
  }

  /** One thing at a time for each member. */
  private async alone<T>(id: string, work: () => Promise<T>): Promise<T> {
    const before = this.busy.get(id) ?? Promise.resolve();
    const mine = before.catch(() => undefined).then(work);
    this.busy.set(id, mine);
    try {
      return await mine;
    } finally {
      if (this.busy.get(id) === mine) this.busy.delete(id);
    }
  }
}

function handleOf(record: MemberRecord): MemberHandle {
  const { id, address, port, process } = record;
  return { id, address, port, notes: { ...process } };
}

function noted(handle: MemberHandle): ProcessHandle | undefined {
  const { pid, startTime } = handle.notes;
  return typeof pid === "number" && typeof startTime === "string" ? { pid, startTime } : undefined;
}

/** Looked up here, so that a command which does not exist is an error of the launch and not a member that dies. */
async function commandOf(digest: string, image: UnpackedImage): Promise<readonly string[]> {
  const [word, ...args] = image.member.command;
  if (word === "node") return [process.execPath, ...args];
  const candidates = word.includes("/")
    ? [resolve(image.directory, word)]
    : (baseEnvironment().PATH ?? "").split(delimiter).map((folder) => join(folder, word));
  for (const candidate of candidates) {
    if (
      await access(candidate, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return [candidate, ...args];
  }
  throw badImage(
    digest,
    `the command \`${word}\` of its \`member.json\` ${word.includes("/") ? "is not in it, or may not be executed" : "is not on this machine's PATH"}`,
    "Name a file of the image (executable, with a slash), a command of the site's machines, or `node`.",
  );
}
