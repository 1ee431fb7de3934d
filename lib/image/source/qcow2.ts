import { constants, inflateRaw } from "node:zlib";
import { promisify } from "node:util";
import { messageOf } from "../../errors";
import { ExtentsBuilder, type Extents } from "../extents/extents";
import type { SourceFile } from "./file";
import { ClusterTables, type Cluster } from "./qcow2-clusters";
import { damaged, readQcow2Header, type Qcow2Header } from "./qcow2-header";
import { requireInside, type ImageSource } from "./source";

const inflate = promisify(inflateRaw);

/** So many reads of one `read` are under way at a time. */
const READS_AT_A_TIME = 8;

/** Deflate packs no bytes more tightly than that. */
const MAX_DEFLATE_RATIO = 1032;

/** Between two turns of the event loop. */
const CLUSTERS_AT_A_TIME = 65_536;

/** Bytes of the disk that lie in one piece in the file, or in one compressed cluster. */
interface Piece {
  /** In the buffer that is filled. */
  readonly at: number;
  length: number;
  readonly cluster: Cluster;
  /** Where in the cluster it begins. */
  readonly skip: number;
}

/**
 * A qcow2 image, version 2 or 3: what its active layer holds; snapshots inside it are not looked at. Tables are read as they are
 * needed, so memory does not grow with the disk: 4 MiB of tables, and one cluster (2 MiB at most) for each compressed read.
 */
export class Qcow2Source implements ImageSource {
  readonly format = "qcow2";
  readonly sizeBytes: number;
  private readonly tables: ClusterTables;
  /** The compressed cluster read last: reads smaller than a cluster come one after the other. */
  private inflated?: { readonly offset: number; readonly bytes: Promise<Buffer> };

  private constructor(
    private readonly file: SourceFile,
    header: Qcow2Header,
  ) {
    this.sizeBytes = header.sizeBytes;
    this.tables = new ClusterTables(file, header);
  }

  /** @throws SpillwayError for an image that is damaged, or needs another file, a key or a feature that is not there */
  static async open(file: SourceFile): Promise<Qcow2Source> {
    return new Qcow2Source(file, await readQcow2Header(file));
  }

  get path(): string {
    return this.file.path;
  }

  get identity(): ImageSource["identity"] {
    return this.file.identity;
  }

  async read(into: Uint8Array, offset: number): Promise<void> {
    requireInside(this.sizeBytes, offset, into.length);
    into.fill(0);
    const pieces = await this.pieces(offset, into.length);
    for (let i = 0; i < pieces.length; i += READS_AT_A_TIME) {
      await Promise.all(pieces.slice(i, i + READS_AT_A_TIME).map((piece) => this.readPiece(into, piece)));
    }
  }

  async allocated(): Promise<Extents> {
    const { clusterBytes, count } = this.tables;
    const builder = new ExtentsBuilder(this.sizeBytes);
    // Each plain cluster has a place in the file of its own, and each compressed one takes a thousandth of that at least. An
    // image in which they share places could claim to hold any amount of data, and keep whoever believes it busy for ever.
    const most = Math.ceil(this.file.sizeBytes / clusterBytes);
    let held = 0;
    for (let first = 0; first < count;) {
      const end = Math.min(count, first + CLUSTERS_AT_A_TIME);
      await this.tables.visit(first, end, (at, _count, cluster) => {
        if (cluster.kind === "zeros") return;
        held += cluster.kind === "plain" ? 1 : 1 / MAX_DEFLATE_RATIO;
        builder.add(at * clusterBytes, (at + 1) * clusterBytes);
      });
      if (held > most) {
        throw damaged(
          this.path,
          0,
          `more clusters are said to be in the file than the ${most} it has room for`,
        );
      }
      await new Promise(setImmediate);
      first = end;
    }
    return builder.finish();
  }

  requireUnchanged(): Promise<void> {
    return this.file.requireUnchanged();
  }

  close(): Promise<void> {
    return this.file.close();
  }

  private async pieces(offset: number, length: number): Promise<Piece[]> {
    const { clusterBytes } = this.tables;
    const pieces: Piece[] = [];
    const end = offset + length;
    await this.tables.visit(
      Math.floor(offset / clusterBytes),
      Math.ceil(end / clusterBytes),
      (number, _, cluster) => {
        if (cluster.kind === "zeros") return;
        const start = Math.max(offset, number * clusterBytes);
        const bytes = Math.min(end, (number + 1) * clusterBytes) - start;
        const last = pieces[pieces.length - 1];
        if (
          last?.cluster.kind === "plain" &&
          cluster.kind === "plain" &&
          last.at + last.length === start - offset &&
          last.cluster.offset + last.skip + last.length === cluster.offset
        ) {
          last.length += bytes;
        } else {
          pieces.push({ at: start - offset, length: bytes, cluster, skip: start - number * clusterBytes });
        }
      },
    );
    return pieces;
  }

  private async readPiece(into: Uint8Array, { at, length, cluster, skip }: Piece): Promise<void> {
    if (cluster.kind === "zeros") return;
    if (cluster.kind === "plain") {
      const start = cluster.offset + skip;
      const held = Math.max(0, Math.min(length, this.file.sizeBytes - start));
      await this.file.read(into.subarray(at, at + held), start);
      return;
    }
    if (this.inflated?.offset !== cluster.offset) {
      this.inflated = { offset: cluster.offset, bytes: this.inflate(cluster.offset, cluster.length) };
    }
    into.set((await this.inflated.bytes).subarray(skip, skip + length), at);
  }

  private async inflate(offset: number, length: number): Promise<Buffer> {
    const { clusterBytes } = this.tables;
    const deflated = Buffer.allocUnsafe(length);
    await this.file.read(deflated, offset);
    // What follows the compressed bytes in their last sector is not theirs.
    const bytes = await inflate(deflated, {
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: clusterBytes,
      chunkSize: clusterBytes,
    }).catch((error) => {
      throw damaged(
        this.path,
        offset,
        `a compressed cluster cannot be unpacked (${messageOf(error)})`,
        error,
      );
    });
    if (bytes.length === clusterBytes) return bytes;
    throw damaged(
      this.path,
      offset,
      `a compressed cluster holds ${bytes.length} bytes instead of ${clusterBytes}`,
    );
  }
}
