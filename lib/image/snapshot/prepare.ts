import { basename } from "node:path";
import { SpillwayError } from "../../errors";
import type { StepContext } from "../../wait";
import type { BandwidthPlan } from "../bandwidth";
import type { CanonicalImage, SourceOptions } from "../near/canonical-image";
import { Reporter } from "../progress";
import type { BlockDigests } from "./block-digests";
import { chooseBlocks, nameOfChoice, type ChosenBlocks } from "./choose-blocks";
import { chooseParent, isSameKey, possibleParents, type Candidate, type Heir } from "./choose-parent";
import { describeImage, type DescribedImage } from "./describe-image";
import { LocalSnapshots, type SnapshotKey } from "./local-state";
import { blocksOf, type ReadingOptions } from "./parent-blocks";
import type { KnownSnapshot, SnapshotService } from "./service";
import { isComplete, TAG, tagValue } from "./tags";
import { Turns } from "./turns";

/** How a snapshot is to be made. */
export interface SnapshotSettings {
  /** @default - the one of ours that leaves the least to write, if any does */
  readonly parentId?: string;
  /** @default - as the account has it */
  readonly encrypted?: boolean;
  /** ARN of the key, or its id. Encrypts. @default - the account's */
  readonly kmsKeyId?: string;
  /** @default - names the image */
  readonly description?: string;
  readonly tags?: Readonly<Record<string, string>>;
}

/** An image that is to become a snapshot. */
export interface SnapshotOptions extends SourceOptions {
  /** When given, the source must have it. */
  readonly digest?: string;
  readonly service: SnapshotService;
  readonly context: StepContext;
  readonly settings?: SnapshotSettings;
  /** What progress lines and errors are about. @default the file's name */
  readonly subject?: string;
  /** What is a version of what; the parent is looked for among its own first. @default the file's name */
  readonly lineage?: string;
  /** What the transfer may take of the link; the lowest of them holds. @default no limit but that of the machine */
  readonly bandwidth?: readonly BandwidthPlan[];
  /** Where digests, journals and plans are kept. @default $XDG_CACHE_HOME/spillway or ~/.cache/spillway */
  readonly cacheDirectory?: string;
  /**
   * What of the image its file systems use counts as used also where its file has a hole: of a file that was put together from what
   * somebody sent, holes say nothing.
   * @default false
   */
  readonly holesCount?: boolean;
  /** Requests at once, at most. @default 64 */
  readonly streams?: number;
  /** See {@link Turns}. */
  readonly patienceMs?: number;
  readonly unknownMs?: number;
  /** How long the service may take to complete what was written. @default 2 hours */
  readonly completeMs?: number;
}

/** What the work on one snapshot goes by. */
export interface Work extends ReadingOptions {
  readonly service: SnapshotService;
  readonly image: DescribedImage;
  readonly key: SnapshotKey;
  readonly lineage: string;
  readonly settings: SnapshotSettings;
  readonly subject: string;
}

/** A snapshot that is to be made: of which parent, and what is to be written. */
export interface Plan {
  readonly encrypted: boolean;
  readonly parent?: KnownSnapshot;
  readonly parentBlocks?: BlockDigests;
  readonly chosen: ChosenBlocks;
  /** Value of the tag by which who plans the same finds it. */
  readonly name: string;
}

export async function workOn(image: CanonicalImage, options: SnapshotOptions): Promise<Work> {
  const { service, context, settings = {}, source } = options;
  requireSettings(settings, service.place);
  const subject = options.subject ?? basename(source);
  const local = new LocalSnapshots(options.cacheDirectory);
  const reporter = new Reporter(context, subject);
  const turns = new Turns({
    ...{ place: service.place, signal: context.signal, max: options.streams },
    ...{ patienceMs: options.patienceMs, unknownMs: options.unknownMs },
    onTrouble: (problem, pauseMs) =>
      reporter.say(() => `going on in ${(pauseMs / 1_000).toFixed(1)} s: ${problem}`),
  });
  const described = await describeImage(image, local, { ...options, subject });
  const { encrypted, kmsKeyId } = settings;
  return {
    ...{ service, local, turns, reporter, settings, subject, signal: context.signal, image: described },
    key: {
      region: service.region,
      digest: described.digest,
      encrypted: kmsKeyId ? true : encrypted,
      kmsKeyId,
    },
    lineage: tagValue(options.lineage ?? basename(source)),
  };
}

/** @throws SpillwayError */
function requireSettings(
  { parentId, encrypted, kmsKeyId, tags = {} }: SnapshotSettings,
  place: string,
): void {
  const mine = Object.keys(tags).find((key) => /^(spillway|aws):/i.test(key));
  if (parentId !== undefined && (encrypted !== undefined || kmsKeyId !== undefined)) {
    throw new SpillwayError({
      place,
      problem: "a parent snapshot was given together with `encrypted` or `kms_key_id`",
      mend: "Leave one of them out: a snapshot is encrypted as its parent is.",
      attribute: ["ebs", "parent_snapshot_id"],
    });
  }
  if (kmsKeyId !== undefined && encrypted === false) {
    throw new SpillwayError({
      place,
      problem: "`kms_key_id` was given with `encrypted = false`",
      mend: "Leave one of them out.",
      attribute: ["ebs", "kms_key_id"],
    });
  }
  if (mine === undefined) return;
  throw new SpillwayError({
    place,
    problem: `the tag "${mine}" is not free: tags that begin so have a meaning already`,
    mend: "Give the tag another name.",
    attribute: ["ebs", "tags"],
  });
}

/** Our snapshots of this image that are encrypted as is wanted, the newest first. */
export async function snapshotsOf({ service, image, turns, signal, settings }: Work) {
  const all = await turns.run(() => service.list(TAG.image, image.digest, { signal }));
  const { encrypted, kmsKeyId } = settings;
  return all
    .filter(
      (one) =>
        (encrypted === undefined || one.encrypted === encrypted) &&
        (kmsKeyId === undefined || isSameKey(one.kmsKeyId, kmsKeyId)),
    )
    .sort((one, other) => other.startedAt - one.startedAt);
}

/** The one that needs nothing more, if there is one. */
export function completeOf(found: readonly KnownSnapshot[]): KnownSnapshot | undefined {
  return found.find(isComplete);
}

/** Decides on parent and blocks. Asks the service, and changes nothing there. @throws SpillwayError */
export async function planSnapshot(work: Work): Promise<Plan> {
  const { settings, service, turns, signal, image, lineage, local } = work;
  if (settings.parentId !== undefined) {
    const parent = await givenParent(work, settings.parentId);
    return planWith(work, parent, await blocksOf(service, parent, work), parent.encrypted);
  }
  const encrypted =
    work.key.encrypted ?? (await turns.run(() => service.encryptsByDefault({ signal }))) ?? false;
  const alone = planWith(work, undefined, undefined, encrypted);
  const { digest, volumeGib } = image;
  const heir: Heir = { digest, lineage, volumeGib, encrypted, kmsKeyId: settings.kmsKeyId };
  const ours = await turns.run(() => service.list(TAG.image, undefined, { signal }));
  const plans = new Map<string, Plan>();
  const candidates: Candidate[] = [];
  for (const snapshot of possibleParents(ours, heir)) {
    const blocks = await local.blocksOfSnapshot(snapshot.id);
    const plan = blocks && planWith(work, snapshot, blocks, encrypted);
    if (plan) plans.set(snapshot.id, plan);
    candidates.push({ snapshot, writes: plan?.chosen.write.length });
  }
  for (;;) {
    const decision = chooseParent(candidates, alone.chosen.write.length, lineage);
    if (decision === "none") return alone;
    if ("parent" in decision) return plans.get(decision.parent.id) ?? alone;
    const { ask } = decision;
    const plan = planWith(work, ask, await blocksOf(service, ask, work), encrypted);
    plans.set(ask.id, plan);
    const at = candidates.findIndex(({ snapshot }) => snapshot === ask);
    candidates[at] = { snapshot: ask, writes: plan.chosen.write.length };
  }
}

/** The plan with this parent, or none. */
export function planWith(
  { image }: Work,
  parent: KnownSnapshot | undefined,
  parentBlocks: BlockDigests | undefined,
  encrypted: boolean,
): Plan {
  const chosen = chooseBlocks({ image: image.blocks, isUsed: image.isUsed, parent: parentBlocks, encrypted });
  const name = nameOfChoice(image.blocks, chosen).toString("hex").slice(0, 32);
  return { encrypted, parent, parentBlocks, chosen, name };
}

async function givenParent({ service, turns, signal, image }: Work, id: string): Promise<KnownSnapshot> {
  const parent = await turns.run(() => service.get(id, { signal }));
  const refuse = (problem: string, mend: string) =>
    new SpillwayError({ place: service.place, problem, mend, attribute: ["ebs", "parent_snapshot_id"] });
  if (!parent) throw refuse(`there is no snapshot ${id}`, "Correct its id, or leave it out.");
  if (parent.state !== "completed") {
    throw refuse(
      `the parent snapshot ${id} is ${parent.state}`,
      "Wait until it is completed, or give another.",
    );
  }
  if (parent.volumeGib > image.volumeGib) {
    throw refuse(
      `the parent snapshot ${id} is of ${parent.volumeGib} GiB, and the image needs ${image.volumeGib} GiB`,
      "A snapshot cannot be smaller than its parent: give another, or leave it out.",
    );
  }
  return parent;
}
