import { rm } from "node:fs/promises";
import { join } from "node:path";
import { AbortedError, messageOf } from "../../errors";
import { DirectoryLock, type Holder } from "../../site/agent/directory-lock";
import { sleep, waitFor } from "../../wait";
import type { PartReport } from "../extents";
import { CanonicalImage } from "../near/canonical-image";
import { digestsAfter, linearChecksum, nameOfChoice } from "./choose-blocks";
import { SnapshotError } from "./errors";
import { SnapshotJournal } from "./journal";
import { completeOf, planSnapshot, planWith, snapshotsOf, workOn } from "./prepare";
import type { Plan, SnapshotOptions, Work } from "./prepare";
import { sendBlocks } from "./send-blocks";
import type { KnownSnapshot } from "./service";
import { TAG } from "./tags";
import { tokenOf } from "./token";

/** A snapshot that is lost in the middle is begun anew, but not for ever. */
const MAX_ROUNDS = 3;
const COMPLETE_MS = 2 * 60 * 60_000;
const LOOK_EVERY_MS = 2_000;
const LOCK_EVERY_MS = 500;

export interface SnapshotResult {
  readonly snapshotId: string;
  readonly digest: string;
  readonly sizeBytes: number;
  /** Bytes of the image that are in use, or were not told to be free. */
  readonly inUseBytes: number;
  readonly parts: readonly PartReport[];
  /** Bytes of blocks that were sent now. */
  readonly sentBytes: number;
  /** Bytes in use that needed no sending. */
  readonly presentBytes: number;
  readonly parentId?: string;
  /** Was it there already? */
  readonly wasThere: boolean;
}

/**
 * Makes an image file a snapshot: writes the blocks in which it differs from the parent, has the whole completed, and waits for that.
 * Idempotent: a snapshot of the image that is complete is taken as it is, one that was cut off at any point is gone on with.
 * @throws SnapshotError, SpillwayError
 * @throws DeadlineError when nothing succeeded for `patienceMs`, or it is not completed in `completeMs`
 * @throws AbortedError when `context.signal` fires
 */
export async function pushSnapshot(options: SnapshotOptions): Promise<SnapshotResult> {
  const image = await CanonicalImage.open(options, options.context.signal);
  try {
    const work = await workOn(image, options);
    const directory = await work.local.workDirectory(work.key);
    const lock = await lockFor(work, directory);
    try {
      const result = await new Push(options, image, work, directory).run();
      await work.local.unpinSoon(work.key);
      await work.local.removeUnused();
      return result;
    } finally {
      await lock.release();
    }
  } finally {
    await image.close();
  }
}

export function journalPath(directory: string): string {
  return join(directory, "journal");
}

/** A snapshot that is being written. */
interface Begun {
  readonly id: string;
  readonly plan: Plan;
  readonly arrived: ReadonlySet<number>;
  readonly journal: SnapshotJournal | undefined;
}

class Push {
  private readonly journalPath: string;

  constructor(
    private readonly options: SnapshotOptions,
    private readonly image: CanonicalImage,
    private readonly work: Work,
    directory: string,
  ) {
    this.journalPath = journalPath(directory);
  }

  async run(): Promise<SnapshotResult> {
    for (let round = 1; ; round++) {
      const found = await snapshotsOf(this.work);
      const complete = completeOf(found);
      if (complete) {
        await this.adopt(complete);
        return this.resultOf(complete.id, 0, complete.tags[TAG.parent], true);
      }
      const begun = await this.begin(found);
      try {
        return await this.finish(begun);
      } catch (error) {
        await begun.journal?.close();
        if (!(error instanceof SnapshotError) || (error.code !== "not-found" && error.code !== "conflict")) {
          throw error;
        }
        const { id } = begun;
        const now = await this.work.turns.run(() => this.work.service.get(id, this.call));
        // Another machine wrote the same, and was quicker.
        if (now?.state === "completed" && error.code === "conflict") return this.seal(begun, 0);
        if (round === MAX_ROUNDS) throw error;
        this.work.reporter.say(() => `beginning anew: ${messageOf(error)}`);
        await this.abandon(id, now !== undefined);
      }
    }
  }

  private get call() {
    return { signal: this.work.signal };
  }

  /** Goes on with what was begun, here or by another machine, or begins. */
  private async begin(found: readonly KnownSnapshot[]): Promise<Begun> {
    const { work } = this;
    const { service, turns } = work;
    for (const { id, state } of found) if (state === "error") await this.abandon(id, true);
    const plan = await planSnapshot(work);
    const resumed = await this.resume(plan);
    if (resumed) return resumed;
    const same = found.find(({ state, tags }) => state !== "error" && tags[TAG.plan] === plan.name);
    if (same) {
      const actual = this.asEncrypted(plan, same.encrypted);
      return { ...(await this.journalFor(same.id, actual)), id: same.id, plan: actual };
    }
    work.reporter.say(() => "beginning the snapshot");
    const { image, settings, lineage } = work;
    const { parent } = plan;
    const tags = {
      ...settings.tags,
      [TAG.image]: image.digest,
      [TAG.size]: String(image.sizeBytes),
      [TAG.lineage]: lineage,
      [TAG.plan]: plan.name,
      ...(parent ? { [TAG.parent]: parent.id } : {}),
    };
    const request = {
      ...{ volumeGib: image.volumeGib, tags, parentId: parent?.id },
      description: settings.description ?? `Spillway image ${image.digest.slice(0, 19)} (${lineage})`,
      ...(parent ? {} : { encrypted: work.key.encrypted, kmsKeyId: settings.kmsKeyId }),
    };
    const token = tokenOf(request, await work.local.salt(work.key));
    let started;
    try {
      started = await turns.run(() => service.start({ ...request, token }, this.call));
    } catch (error) {
      // The token was used for something that is no more, or was asked for otherwise.
      if (!(error instanceof SnapshotError) || (error.code !== "conflict" && error.code !== "not-found"))
        throw error;
      const anew = tokenOf(request, await work.local.renewSalt(work.key));
      started = await turns.run(() => service.start({ ...request, token: anew }, this.call));
    }
    const actual = this.asEncrypted(plan, plan.encrypted || started.encrypted);
    return { ...(await this.journalFor(started.id, actual)), id: started.id, plan: actual };
  }

  /** What the service makes of it counts, whatever was expected. */
  private asEncrypted(plan: Plan, encrypted: boolean): Plan {
    if (plan.encrypted === encrypted) return plan;
    return planWith(this.work, plan.parent, plan.parentBlocks, encrypted);
  }

  private async resume(plan: Plan): Promise<Begun | undefined> {
    const { service, turns, image } = this.work;
    const noted = await SnapshotJournal.read(this.journalPath).catch(() => undefined);
    if (!noted) return undefined;
    const { snapshotId: id, blocks } = noted;
    const now = await turns.run(() => service.get(id, this.call));
    const actual = now ? this.asEncrypted(plan, now.encrypted) : plan;
    const isSame = nameOfChoice(image.blocks, actual.chosen).equals(noted.choice);
    if (now && now.state !== "error" && isSame) {
      const wanted = new Set(actual.chosen.write);
      const arrived = new Set(blocks.filter((block) => wanted.has(block)));
      const journal = await SnapshotJournal.resume(this.journalPath).catch(() => undefined);
      return { id, plan: actual, arrived, journal };
    }
    // What was begun right before may not be known yet: its token gives it again.
    if (now || Date.now() - noted.startedAt > (this.options.unknownMs ?? 120_000))
      await this.abandon(id, now !== undefined);
    await rm(this.journalPath, { force: true });
    return undefined;
  }

  private async journalFor(snapshotId: string, plan: Plan): Promise<Pick<Begun, "arrived" | "journal">> {
    const choice = nameOfChoice(this.work.image.blocks, plan.chosen);
    const head = { snapshotId, startedAt: Date.now(), choice };
    // Without it the work is done as well; only a kill costs more.
    const journal = await SnapshotJournal.create(this.journalPath, head).catch(() => undefined);
    return { arrived: new Set(), journal };
  }

  private async finish(begun: Begun): Promise<SnapshotResult> {
    const { work, image, options } = this;
    const { id, plan, arrived, journal } = begun;
    const blocks = [...plan.chosen.write].filter((block) => !arrived.has(block));
    const sentBytes = await sendBlocks({
      ...{ work, image, snapshotId: id, blocks, arrived: arrived.size, journal },
      bandwidth: options.bandwidth ?? [],
    });
    await image.source.requireUnchanged();
    await journal?.close();
    const checksum = linearChecksum(work.image.blocks, plan.chosen);
    const count = plan.chosen.write.length;
    const { turns, service } = work;
    await turns.run(() => service.complete(id, count, checksum, this.call), { mayBeUnknown: true });
    await this.completed(id);
    return this.seal(begun, sentBytes);
  }

  private async completed(id: string): Promise<void> {
    const { context, completeMs = COMPLETE_MS } = this.options;
    const { service, turns, subject } = this.work;
    await waitFor(context, {
      ...{ step: "transfer", subject, what: `the snapshot ${id} to be completed` },
      ...{ deadlineMs: completeMs, intervalMs: LOOK_EVERY_MS },
      mend: "Try again: everything was sent, and is waited for once more.",
      look: async () => {
        const now = await turns.run(() => service.get(id, this.call));
        if (now?.state === "completed") return { done: true, value: undefined };
        if (now?.state === "error") {
          throw new SnapshotError("not-found", {
            place: service.place,
            problem: `the snapshot ${id} failed${now.message ? `: ${now.message}` : ""}`,
            mend: "Try again.",
          });
        }
        return { done: false, message: `everything was sent: the snapshot ${id} is being completed` };
      },
    });
  }

  /** It is complete: so that it is known again, here and elsewhere. */
  private async seal({ id, plan }: Begun, sentBytes: number): Promise<SnapshotResult> {
    const { service, local, turns, image, reporter } = this.work;
    await local.keepBlocksOfSnapshot(id, digestsAfter(image.blocks, plan.parentBlocks, plan.chosen));
    try {
      await turns.run(() => service.tag(id, { [TAG.complete]: "true" }, this.call));
    } catch (error) {
      if (error instanceof AbortedError) throw error;
      // The image is there. Without the tag, the next one does not find its parent, and is sent whole.
      reporter.say(() => `the snapshot ${id} is complete, and could not be marked so: ${messageOf(error)}`);
    }
    await rm(this.journalPath, { force: true }).catch(() => undefined);
    return this.resultOf(id, sentBytes, plan.parent?.id, false);
  }

  /** A complete one that was made before: it gets the tags that are wanted now. */
  private async adopt({ id, tags }: KnownSnapshot): Promise<void> {
    const { service, turns, settings } = this.work;
    const missing = Object.entries(settings.tags ?? {}).filter(([key, value]) => tags[key] !== value);
    if (missing.length > 0) {
      await turns.run(() => service.tag(id, Object.fromEntries(missing), this.call));
    }
    const journal = await SnapshotJournal.read(this.journalPath).catch(() => undefined);
    if (journal && journal.snapshotId !== id) await this.remove(journal.snapshotId);
    await rm(this.journalPath, { force: true }).catch(() => undefined);
  }

  /** What was begun and cannot be gone on with: the next is begun under another token. */
  private async abandon(id: string, isThere: boolean): Promise<void> {
    await this.work.local.renewSalt(this.work.key);
    if (isThere) await this.remove(id);
    await rm(this.journalPath, { force: true }).catch(() => undefined);
  }

  private async remove(id: string): Promise<void> {
    const { service, turns } = this.work;
    try {
      await turns.run(() => service.delete(id, this.call));
    } catch (error) {
      if (!(error instanceof SnapshotError)) throw error;
      this.work.reporter.say(
        () => `the snapshot ${id} is of no use any more, and stays: ${messageOf(error)}`,
      );
    }
  }

  private resultOf(snapshotId: string, sentBytes: number, parentId: string | undefined, wasThere: boolean) {
    const { digest, sizeBytes, inUseBytes, parts } = this.work.image;
    const presentBytes = Math.max(0, inUseBytes - sentBytes);
    return { snapshotId, digest, sizeBytes, inUseBytes, parts, sentBytes, presentBytes, parentId, wasThere };
  }
}

/** One process at a time makes this snapshot; another that is about to waits, and finds it made. */
async function lockFor({ reporter, signal }: Work, directory: string): Promise<DirectoryLock> {
  const held = (_: string, holder: Holder) => new Held(holder.pid);
  for (;;) {
    try {
      return await DirectoryLock.take(directory, { name: "push", held });
    } catch (error) {
      if (!(error instanceof Held)) throw error;
      reporter.say(() => `process ${error.pid} is making the same snapshot: waiting for it`);
      await sleep(LOCK_EVERY_MS, signal);
    }
  }
}

class Held extends Error {
  constructor(readonly pid: number) {
    super(`held by process ${pid}`);
  }
}
