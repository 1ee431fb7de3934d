import { damaged, type Qcow2Header } from "./qcow2-header";
import type { SourceFile } from "./file";
import { PAGE_BYTES, TablePages } from "./table-pages";

/** Where the bytes of one cluster are: nowhere (zeros), at `offset` as they are, or there deflated in `length` bytes. */
export type Cluster =
  | { readonly kind: "zeros" }
  | { readonly kind: "plain"; readonly offset: number }
  | { readonly kind: "deflated"; readonly offset: number; readonly length: number };

const ZEROS: Cluster = { kind: "zeros" };

/** Told in order of the disk; where there is no table at all, once for all of its `count` clusters. */
export type ClusterVisitor = (first: number, count: number, cluster: Cluster) => void;

/** The two levels of tables that say where each cluster of a qcow2 image is. */
export class ClusterTables {
  readonly clusterBytes: number;
  readonly count: number;
  private readonly perL2: number;
  private readonly pages: TablePages;

  constructor(
    private readonly file: SourceFile,
    private readonly header: Qcow2Header,
  ) {
    this.clusterBytes = 2 ** header.clusterBits;
    this.perL2 = this.clusterBytes / 8;
    this.count = Math.ceil(header.sizeBytes / this.clusterBytes);
    this.pages = new TablePages(file);
  }

  /**
   * Calls `visit` for all clusters from `first` on up to (not including) `end`.
   * @throws SpillwayError for an entry that points outside of the file
   */
  async visit(first: number, end: number, visit: ClusterVisitor): Promise<void> {
    for (let at = first; at < end;) {
      const table = Math.floor(at / this.perL2);
      const stop = Math.min(end, (table + 1) * this.perL2);
      const l2Offset = await this.l2Offset(table);
      if (l2Offset === 0) visit(at, stop - at, ZEROS);
      else await this.visitTable(l2Offset, table * this.perL2, at, stop, visit);
      at = stop;
    }
  }

  /** How many L2 tables there are. */
  get tables(): number {
    return this.header.l1Entries;
  }

  /** The L2 table's place; 0 when there is none. */
  private async l2Offset(table: number): Promise<number> {
    const at = this.header.l1Offset + table * 8;
    const page = await this.pages.page(at);
    const offset = hostOffset(page.getUint32(at % PAGE_BYTES), page.getUint32((at % PAGE_BYTES) + 4));
    if (offset % this.clusterBytes !== 0 || offset + this.clusterBytes > this.file.sizeBytes) {
      throw damaged(this.file.path, at, `its L2 table ${table} at ${offset} is not inside the file`);
    }
    return offset;
  }

  private async visitTable(
    l2Offset: number,
    tableFirst: number,
    first: number,
    end: number,
    visit: ClusterVisitor,
  ): Promise<void> {
    for (let cluster = first; cluster < end;) {
      const at = l2Offset + (cluster - tableFirst) * 8;
      const page = await this.pages.page(at);
      const stop = Math.min(end, cluster + (PAGE_BYTES - (at % PAGE_BYTES)) / 8);
      for (let position = at % PAGE_BYTES; cluster < stop; cluster++, position += 8) {
        const [high, low] = [page.getUint32(position), page.getUint32(position + 4)];
        if (high === 0 && low === 0) visit(cluster, 1, ZEROS);
        else visit(cluster, 1, this.entry(high, low, l2Offset + (cluster - tableFirst) * 8, cluster));
      }
    }
  }

  private entry(high: number, low: number, at: number, cluster: number): Cluster {
    if (high & 0x4000_0000) return this.deflated(high, low, at, cluster);
    if (low & 1) {
      if (this.header.version >= 3) return ZEROS;
      throw damaged(
        this.file.path,
        at,
        `the entry of its cluster ${cluster} has a bit that version 2 does not know`,
      );
    }
    const offset = hostOffset(high, low);
    if (offset === 0) return ZEROS;
    // The file may end within its last cluster, of which the rest is zeros then.
    if (offset % this.clusterBytes !== 0 || offset >= this.file.sizeBytes) {
      throw damaged(this.file.path, at, `its cluster ${cluster} at ${offset} is not inside the file`);
    }
    return { kind: "plain", offset };
  }

  /** The upper of the entry's lower 62 bits count sectors of 512 bytes, the rest is an offset in bytes. */
  private deflated(high: number, low: number, at: number, cluster: number): Cluster {
    const offsetBitsInHigh = 70 - this.header.clusterBits - 32;
    const offset = (high & (2 ** offsetBitsInHigh - 1)) * 2 ** 32 + low;
    const sectors = ((high & 0x3fff_ffff) >>> offsetBitsInHigh) + 1;
    if (offset >= this.file.sizeBytes) {
      throw damaged(
        this.file.path,
        at,
        `its compressed cluster ${cluster} at ${offset} is not inside the file`,
      );
    }
    const length = Math.min(sectors * 512 - (offset % 512), this.file.sizeBytes - offset);
    return { kind: "deflated", offset, length };
  }
}

/** Bits 9 to 55 of an entry. */
function hostOffset(high: number, low: number): number {
  return (high & 0x00ff_ffff) * 2 ** 32 + ((low & 0xffff_fe00) >>> 0);
}
