import { createHash } from "node:crypto";
import { addAbortSignal, Readable } from "node:stream";
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from "@aws-sdk/client-s3";
import { SpillwayError } from "../../../lib/errors";
import type { TakePiece, TargetCallOptions } from "../../../lib/image/wire/target";
import { bucketError, isNoSuchKey, isNotImplemented, isThereAlready } from "./errors";

export interface BucketAddress {
  readonly bucket: string;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
}

/** Reads `s3://bucket/prefix`. @throws SpillwayError */
export function parseBucketAddress(text: string): BucketAddress {
  const match = /^s3:\/\/([^/?#\s]+)(?:\/([^?#]*))?$/.exec(text);
  if (!match) {
    throw new SpillwayError({
      place: text,
      problem: `"${text}" is no address of a bucket`,
      mend: "Write it as s3://bucket or s3://bucket/prefix.",
    });
  }
  const prefix = (match[2] ?? "").replace(/^\/+|\/+$/g, "");
  return { bucket: match[1], prefix: prefix === "" ? "" : `${prefix}/` };
}

export interface BucketOptions {
  /** For services other than AWS; buckets are named in the path then. @default AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or AWS itself */
  readonly endpointUrl?: string;
  readonly client?: S3ClientConfig;
  /** Objects in one answer to a listing, at most. @default 1000, which is the most that S3 gives */
  readonly listedAtOnce?: number;
}

export interface ListedObject {
  /** Without the prefix. */
  readonly key: string;
  readonly bytes: number;
  readonly changedAt: number;
}

const DELETED_AT_ONCE = 1_000;
/** A connection gets so long to be made; one on which nothing moves is given up after so long. */
const CONNECT_MS = 10_000;
const SILENCE_MS = 60_000;
const STREAMS = 64;

const ignore = () => undefined;

/** The objects below a prefix of one bucket. Every method throws TargetErrors, or AbortedError. */
export class Bucket {
  private readonly client: S3Client;
  private readonly listedAtOnce: number | undefined;

  constructor(
    private readonly address: BucketAddress,
    { endpointUrl, client, listedAtOnce }: BucketOptions = {},
  ) {
    this.listedAtOnce = listedAtOnce;
    const endpoint = endpointUrl ?? process.env.AWS_ENDPOINT_URL_S3 ?? process.env.AWS_ENDPOINT_URL;
    // The client would print how long its makers support this Node, for the users of whatever uses it.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
    this.client = new S3Client({
      ...(endpoint ? { endpoint, forcePathStyle: true } : {}),
      // A bucket says where it is; services other than AWS want a region that nobody checks.
      followRegionRedirects: true,
      region:
        process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? (endpoint ? "us-east-1" : undefined),
      maxAttempts: 3,
      // What is sent and read has checksums of its own.
      responseChecksumValidation: "WHEN_REQUIRED",
      requestChecksumCalculation: "WHEN_REQUIRED",
      // It would write to the console of whoever uses this.
      logger: { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore },
      requestHandler: {
        connectionTimeout: CONNECT_MS,
        socketTimeout: SILENCE_MS,
        httpAgent: { maxSockets: STREAMS },
        httpsAgent: { maxSockets: STREAMS },
      },
      ...client,
    });
  }

  /** `s3://bucket/prefix` */
  get place(): string {
    return `s3://${this.address.bucket}/${this.address.prefix}`.replace(/\/$/, "");
  }

  close(): void {
    this.client.destroy();
  }

  /** Undefined when there is none. */
  async get(key: string, signal?: AbortSignal): Promise<Buffer | undefined> {
    try {
      const command = new GetObjectCommand({ Bucket: this.address.bucket, Key: this.keyOf(key) });
      const { Body } = await this.client.send(command, { abortSignal: signal });
      return Body && Buffer.from(await Body.transformToByteArray());
    } catch (error) {
      if (isNoSuchKey(error)) return undefined;
      throw this.told(error, "read an object");
    }
  }

  /** The same piece by piece. @returns false when there is none */
  async give(key: string, take: TakePiece, signal?: AbortSignal): Promise<boolean> {
    try {
      const command = new GetObjectCommand({ Bucket: this.address.bucket, Key: this.keyOf(key) });
      const { Body } = await this.client.send(command, { abortSignal: signal });
      if (!(Body instanceof Readable)) return false;
      if (signal) addAbortSignal(signal, Body);
      for await (const piece of Body as AsyncIterable<Uint8Array>) await take(piece);
      return true;
    } catch (error) {
      if (isNoSuchKey(error)) return false;
      throw this.told(error, "read an object");
    }
  }

  /** The service compares what arrives with its SHA-256. */
  async put(key: string, bytes: Uint8Array, options: TargetCallOptions = {}): Promise<void> {
    try {
      await this.send(key, bytes, options, undefined);
    } catch (error) {
      throw this.told(error, "write an object");
    }
  }

  /** @returns false when there is one already; it is left as it is (by services that know conditional writes) */
  async putNew(key: string, bytes: Uint8Array, options: TargetCallOptions = {}): Promise<boolean> {
    try {
      await this.send(key, bytes, options, "*");
      return true;
    } catch (error) {
      if (isThereAlready(error)) return false;
      if (!isNotImplemented(error)) throw this.told(error, "write an object");
    }
    await this.put(key, bytes, options);
    return true;
  }

  /** All objects whose key begins so, by key. */
  async list(under: string, signal?: AbortSignal): Promise<ListedObject[]> {
    const found: ListedObject[] = [];
    const { bucket, prefix } = this.address;
    let token: string | undefined;
    try {
      do {
        const command = new ListObjectsV2Command({
          Bucket: bucket,
          Prefix: this.keyOf(under),
          ContinuationToken: token,
          MaxKeys: this.listedAtOnce,
        });
        const page = await this.client.send(command, { abortSignal: signal });
        for (const { Key = "", Size = 0, LastModified } of page.Contents ?? []) {
          found.push({ key: Key.slice(prefix.length), bytes: Size, changedAt: LastModified?.getTime() ?? 0 });
        }
        token = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
    } catch (error) {
      throw this.told(error, "list objects");
    }
    return found;
  }

  async delete(keys: readonly string[], signal?: AbortSignal): Promise<void> {
    try {
      for (let at = 0; at < keys.length; at += DELETED_AT_ONCE) {
        const Objects = keys.slice(at, at + DELETED_AT_ONCE).map((key) => ({ Key: this.keyOf(key) }));
        const command = new DeleteObjectsCommand({
          Bucket: this.address.bucket,
          Delete: { Objects, Quiet: true },
        });
        const { Errors = [] } = await this.client.send(command, { abortSignal: signal });
        if (Errors.length > 0) throw Object.assign(new Error(Errors[0].Message), { name: Errors[0].Code });
      }
    } catch (error) {
      throw this.told(error, "delete objects");
    }
  }

  private async send(key: string, bytes: Uint8Array, options: TargetCallOptions, ifNoneMatch?: "*") {
    const { signal, pace } = options;
    const hash = createHash("sha256").update(bytes).digest();
    const paced = pace && Readable.from(slices(bytes, pace, signal), { objectMode: false });
    // Of a request that is given up nobody listens any more to what its body says.
    paced?.on("error", () => undefined);
    const command = new PutObjectCommand({
      Bucket: this.address.bucket,
      Key: this.keyOf(key),
      Body: paced ?? bytes,
      ContentLength: bytes.length,
      ContentType: "application/octet-stream",
      ChecksumSHA256: hash.toString("base64"),
      IfNoneMatch: ifNoneMatch,
    });
    // Signed with the hash that is known already: it would be computed again, and a stream's not at all.
    command.middlewareStack.add(
      (next) => (args) => {
        const { headers } = args.request as { headers: Record<string, string> };
        headers["x-amz-content-sha256"] = hash.toString("hex");
        return next(args);
      },
      { step: "build", name: "knownPayloadHash" },
    );
    await this.client.send(command, { abortSignal: signal });
  }

  private keyOf(key: string): string {
    return this.address.prefix + key;
  }

  private told(error: unknown, doing: string): Error {
    return bucketError(error, this.place, this.address.bucket, doing);
  }
}

async function* slices(
  bytes: Uint8Array,
  pace: NonNullable<TargetCallOptions["pace"]>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const slice = Math.min(pace.sliceBytes, bytes.length - at);
    await pace.take(slice, signal);
    yield bytes.subarray(at, at + slice);
    at += slice;
  }
}
