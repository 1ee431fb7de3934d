import { Readable } from "node:stream";
import {
  CompleteSnapshotCommand,
  EBSClient,
  GetSnapshotBlockCommand,
  ListSnapshotBlocksCommand,
  PutSnapshotBlockCommand,
  StartSnapshotCommand,
} from "@aws-sdk/client-ebs";
import {
  CreateTagsCommand,
  DeleteSnapshotCommand,
  DeleteTagsCommand,
  DescribeImagesCommand,
  DescribeSnapshotsCommand,
  EC2Client,
  GetEbsEncryptionByDefaultCommand,
  type Filter,
  type Snapshot,
} from "@aws-sdk/client-ec2";
import { AbortedError } from "../../../lib/errors";
import { sha256 } from "../../../lib/image/digest";
import {
  SNAPSHOT_BLOCK_BYTES,
  SnapshotError,
  type BlockPage,
  type CallOptions,
  type KnownSnapshot,
  type SnapshotService,
  type StartedSnapshot,
  type StartRequest,
  type StoredBlock,
} from "../../../lib/image/snapshot";
import type { TargetCallOptions } from "../../../lib/image/wire/target";
import { snapshotError } from "./errors";

export interface EbsOptions {
  /** @default - as the AWS SDK finds it: AWS_REGION, the profile */
  readonly region?: string;
  readonly timeouts?: Partial<EbsTimeouts>;
}

/** Milliseconds. How long the whole may take is for the caller to say. */
export interface EbsTimeouts {
  /** For a connection to be made. @default 5000 */
  readonly connectMs: number;
  /** A connection on which nothing moves is given up. @default 20000 */
  readonly silenceMs: number;
  /** One request, from its beginning to the end of its answer; longer where a cap slows it. @default 60000 */
  readonly attemptMs: number;
}

const TIMEOUTS: EbsTimeouts = { connectMs: 5_000, silenceMs: 20_000, attemptMs: 60_000 };
const STREAMS = 64;
/** A pending snapshot to which nothing is written for so long is given up by AWS, and costs nothing more. Minutes; a day. */
const PENDING_MINUTES = 24 * 60;
const ignore = () => undefined;

/** Snapshots of one account in one region, over the EBS direct APIs and EC2. One request for each call, none tried again. */
export class EbsService implements SnapshotService {
  private constructor(
    readonly region: string,
    private readonly ebs: EBSClient,
    private readonly ec2: EC2Client,
    private readonly timeouts: EbsTimeouts,
  ) {}

  /** Asks nobody. @throws SnapshotError when there is no region */
  static async open({ region, timeouts }: EbsOptions = {}): Promise<EbsService> {
    // The client would print how long its makers support this Node, for the users of whatever uses it.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
    const limits = { ...TIMEOUTS, ...timeouts };
    const config = {
      region: region ?? process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION,
      // Who calls this tries again, once for all of what is tried.
      maxAttempts: 1,
      // It would write to the console of whoever uses this.
      logger: { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore },
      requestHandler: {
        connectionTimeout: limits.connectMs,
        socketTimeout: limits.silenceMs,
        httpAgent: { maxSockets: STREAMS, keepAlive: true },
        httpsAgent: { maxSockets: STREAMS, keepAlive: true },
      },
    };
    const ebs = new EBSClient(config);
    try {
      const found = await ebs.config.region();
      return new EbsService(found, ebs, new EC2Client({ ...config, region: found }), limits);
    } catch (error) {
      ebs.destroy();
      throw snapshotError(error, { place: "EBS", action: "ebs:StartSnapshot" });
    }
  }

  get place(): string {
    return `EBS in ${this.region}`;
  }

  close(): void {
    this.ebs.destroy();
    this.ec2.destroy();
  }

  list(tag: string, value: string | undefined, options: CallOptions): Promise<readonly KnownSnapshot[]> {
    const filter: Filter =
      value === undefined ? { Name: "tag-key", Values: [tag] } : { Name: `tag:${tag}`, Values: [value] };
    return this.ask("ec2:DescribeSnapshots", options, undefined, async (abortSignal) => {
      const found: KnownSnapshot[] = [];
      let NextToken: string | undefined;
      do {
        const command = new DescribeSnapshotsCommand({
          ...{ OwnerIds: ["self"], Filters: [filter], MaxResults: 1_000, NextToken },
        });
        const page = await this.ec2.send(command, { abortSignal });
        found.push(...(page.Snapshots ?? []).map(known));
        NextToken = page.NextToken || undefined;
      } while (NextToken !== undefined);
      return found;
    });
  }

  async get(id: string, options: CallOptions): Promise<KnownSnapshot | undefined> {
    try {
      return await this.ask("ec2:DescribeSnapshots", options, id, async (abortSignal) => {
        const command = new DescribeSnapshotsCommand({ SnapshotIds: [id] });
        const { Snapshots = [] } = await this.ec2.send(command, { abortSignal });
        return Snapshots.map(known)[0];
      });
    } catch (error) {
      if (error instanceof SnapshotError && error.code === "not-found") return undefined;
      throw error;
    }
  }

  start(request: StartRequest, options: CallOptions): Promise<StartedSnapshot> {
    return this.ask("ebs:StartSnapshot", options, undefined, async (abortSignal) => {
      const { volumeGib, token, description, tags, parentId, encrypted, kmsKeyId } = request;
      const command = new StartSnapshotCommand({
        ...{ VolumeSize: volumeGib, ClientToken: token, Description: description.slice(0, 255) },
        ...{ Tags: tagList(tags), ParentSnapshotId: parentId, Timeout: PENDING_MINUTES },
        ...(parentId === undefined ? { Encrypted: encrypted, KmsKeyArn: kmsKeyId } : {}),
      });
      const { SnapshotId, KmsKeyArn, BlockSize, Status } = await this.ebs.send(command, { abortSignal });
      if (!SnapshotId) throw new Error("it told no snapshot's id");
      if (Status === "error")
        throw Object.assign(new Error(`${SnapshotId} failed`), { name: "ConflictException" });
      // The service says bytes, its emulators KiB.
      if (BlockSize && BlockSize !== SNAPSHOT_BLOCK_BYTES && BlockSize * 1024 !== SNAPSHOT_BLOCK_BYTES) {
        throw new Error(`its blocks have ${BlockSize} bytes`);
      }
      return { id: SnapshotId, encrypted: Boolean(KmsKeyArn) };
    });
  }

  put(
    id: string,
    index: number,
    bytes: Uint8Array,
    digest: Uint8Array,
    { signal, pace }: Pick<TargetCallOptions, "signal" | "pace">,
  ): Promise<void> {
    return this.ask(
      "ebs:PutSnapshotBlock",
      { signal },
      id,
      async (abortSignal) => {
        const Checksum = Buffer.from(digest).toString("base64");
        const body = pace && Readable.from(slices(bytes, pace, abortSignal), { objectMode: false });
        // Of a request that is given up nobody listens any more to what its body says.
        body?.on("error", ignore);
        const command = new PutSnapshotBlockCommand({
          ...{ SnapshotId: id, BlockIndex: index, BlockData: body ?? bytes, DataLength: bytes.length },
          ...{ Checksum, ChecksumAlgorithm: "SHA256" },
        });
        if (body)
          command.middlewareStack.add(withLength(bytes.length), { step: "build", name: "knownLength" });
        const answer = await this.ebs.send(command, { abortSignal });
        if (answer.Checksum !== undefined && answer.Checksum !== Checksum) {
          throw new SnapshotError("corrupt", {
            place: this.place,
            problem: `block ${index} of ${id} did not arrive as it was sent: AWS has it with another checksum`,
            mend: "Try again: it is sent once more.",
          });
        }
      },
      pace ? TIMEOUTS.attemptMs : 0,
    );
  }

  complete(id: string, writtenBlocks: number, checksum: Uint8Array, options: CallOptions): Promise<void> {
    return this.ask("ebs:CompleteSnapshot", options, id, async (abortSignal) => {
      const command = new CompleteSnapshotCommand({
        ...{ SnapshotId: id, ChangedBlocksCount: writtenBlocks },
        ...(writtenBlocks > 0
          ? {
              Checksum: Buffer.from(checksum).toString("base64"),
              ...({ ChecksumAlgorithm: "SHA256", ChecksumAggregationMethod: "LINEAR" } as const),
            }
          : {}),
      });
      await this.ebs.send(command, { abortSignal });
    });
  }

  blocks(id: string, page: string | undefined, options: CallOptions): Promise<BlockPage> {
    return this.ask("ebs:ListSnapshotBlocks", options, id, async (abortSignal) => {
      const command = new ListSnapshotBlocksCommand({ SnapshotId: id, NextToken: page, MaxResults: 10_000 });
      const { Blocks = [], NextToken } = await this.ebs.send(command, { abortSignal });
      const blocks = Blocks.map(({ BlockIndex, BlockToken = "" }) => ({
        index: Number(BlockIndex),
        token: BlockToken,
      }));
      return { blocks, next: NextToken || undefined };
    });
  }

  read(id: string, { index, token }: StoredBlock, options: CallOptions): Promise<Uint8Array> {
    return this.ask("ebs:GetSnapshotBlock", options, id, async (abortSignal) => {
      const command = new GetSnapshotBlockCommand({ SnapshotId: id, BlockIndex: index, BlockToken: token });
      const { BlockData, Checksum } = await this.ebs.send(command, { abortSignal });
      const bytes = (await BlockData?.transformToByteArray()) ?? new Uint8Array();
      if (
        bytes.length === SNAPSHOT_BLOCK_BYTES &&
        (!Checksum || sha256(bytes).toString("base64") === Checksum)
      ) {
        return bytes;
      }
      throw new SnapshotError("corrupt", {
        place: this.place,
        problem: `block ${index} of ${id} was read as ${bytes.length} bytes that do not have its checksum`,
        mend: "Try again.",
      });
    });
  }

  digestOf(id: string, { index, token }: StoredBlock, options: CallOptions): Promise<Uint8Array> {
    return this.ask("ebs:GetSnapshotBlock", options, id, async (abortSignal) => {
      const command = new GetSnapshotBlockCommand({ SnapshotId: id, BlockIndex: index, BlockToken: token });
      const { BlockData, Checksum } = await this.ebs.send(command, { abortSignal });
      const told = Buffer.from(Checksum ?? "", "base64");
      if (told.length !== 32) return sha256((await BlockData?.transformToByteArray()) ?? new Uint8Array());
      // The checksum comes before the bytes: they need not cross the link.
      if (BlockData instanceof Readable) BlockData.on("error", ignore).destroy();
      return told;
    });
  }

  tag(id: string, tags: Readonly<Record<string, string>>, options: CallOptions): Promise<void> {
    return this.ask("ec2:CreateTags", options, id, async (abortSignal) => {
      await this.ec2.send(new CreateTagsCommand({ Resources: [id], Tags: tagList(tags) }), { abortSignal });
    });
  }

  untag(id: string, keys: readonly string[], options: CallOptions): Promise<void> {
    return this.ask("ec2:DeleteTags", options, id, async (abortSignal) => {
      const Tags = keys.map((Key) => ({ Key }));
      await this.ec2.send(new DeleteTagsCommand({ Resources: [id], Tags }), { abortSignal });
    });
  }

  async delete(id: string, options: CallOptions): Promise<void> {
    try {
      await this.ask("ec2:DeleteSnapshot", options, id, async (abortSignal) => {
        await this.ec2.send(new DeleteSnapshotCommand({ SnapshotId: id }), { abortSignal });
      });
    } catch (error) {
      if (!(error instanceof SnapshotError)) throw error;
      if (error.code === "not-found") return;
      if (error.code !== "in-use") throw error;
      throw await this.inUse(id, options, error);
    }
  }

  async encryptsByDefault(options: CallOptions): Promise<boolean | undefined> {
    try {
      return await this.ask("ec2:GetEbsEncryptionByDefault", options, undefined, async (abortSignal) => {
        const answer = await this.ec2.send(new GetEbsEncryptionByDefaultCommand({}), { abortSignal });
        return answer.EbsEncryptionByDefault ?? false;
      });
    } catch (error) {
      const isDenied = error instanceof SnapshotError && /may not ec2:GetEbs/.test(error.report.problem);
      if (isDenied) return undefined;
      throw error;
    }
  }

  /** Which machine image uses it, if that may be asked. */
  private async inUse(id: string, options: CallOptions, error: SnapshotError): Promise<SnapshotError> {
    const images = await this.ask("ec2:DescribeImages", options, id, async (abortSignal) => {
      const Filters = [{ Name: "block-device-mapping.snapshot-id", Values: [id] }];
      const answer = await this.ec2.send(new DescribeImagesCommand({ Owners: ["self"], Filters }), {
        abortSignal,
      });
      return (answer.Images ?? []).map(({ ImageId, Name }) => `${ImageId}${Name ? ` (${Name})` : ""}`);
    }).catch(() => []);
    if (images.length === 0) return error;
    return new SnapshotError("in-use", {
      place: this.place,
      problem: `the snapshot ${id} is in use by the machine image ${images.join(", ")}`,
      mend: "Deregister it first (destroy its `aws_ami`), or set `retain = true` to keep the snapshot.",
    });
  }

  /** One request under its deadlines. @throws SnapshotError, AbortedError */
  private async ask<T>(
    action: string,
    { signal }: CallOptions,
    snapshotId: string | undefined,
    send: (abortSignal: AbortSignal) => Promise<T>,
    moreMs = 0,
  ): Promise<T> {
    const attempt = AbortSignal.timeout(this.timeouts.attemptMs + moreMs);
    try {
      return await send(signal ? AbortSignal.any([signal, attempt]) : attempt);
    } catch (error) {
      if (signal?.aborted) throw new AbortedError("stopped");
      const late = attempt.aborted && !(error instanceof SnapshotError);
      const cause = late ? Object.assign(new Error("no whole answer came"), { name: "TimeoutError" }) : error;
      throw snapshotError(cause, { place: this.place, action, snapshotId });
    }
  }
}

function known(snapshot: Snapshot): KnownSnapshot {
  const {
    SnapshotId = "",
    State,
    StateMessage,
    StartTime,
    VolumeSize = 0,
    Encrypted,
    KmsKeyId,
    Tags = [],
  } = snapshot;
  return {
    id: SnapshotId,
    state: State === "completed" || State === "error" ? State : "pending",
    message: StateMessage,
    startedAt: StartTime?.getTime() ?? 0,
    volumeGib: VolumeSize,
    encrypted: Encrypted ?? false,
    kmsKeyId: KmsKeyId,
    tags: Object.fromEntries(Tags.map(({ Key = "", Value = "" }) => [Key, Value])),
  };
}

function tagList(tags: Readonly<Record<string, string>>) {
  return Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
}

/** A stream does not tell how long it is. */
function withLength(length: number) {
  return <O>(next: (args: never) => Promise<O>) =>
    (args: { readonly request: unknown }): Promise<O> => {
      const { headers } = args.request as { headers: Record<string, string> };
      headers["content-length"] = String(length);
      return next(args as never);
    };
}

async function* slices(
  bytes: Uint8Array,
  pace: NonNullable<TargetCallOptions["pace"]>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const slice = Math.min(pace.sliceBytes, bytes.length - at);
    await pace.take(slice, signal);
    yield bytes.subarray(at, at + slice);
    at += slice;
  }
}
