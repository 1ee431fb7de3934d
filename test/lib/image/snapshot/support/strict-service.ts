import { createHash, randomBytes } from "node:crypto";
import {
  SNAPSHOT_BLOCK_BYTES,
  SnapshotError,
  type BlockPage,
  type KnownSnapshot,
  type SnapshotErrorCode,
  type SnapshotService,
  type StartRequest,
  type StoredBlock,
} from "../../../../../lib/image/snapshot";

interface Stored {
  known: KnownSnapshot;
  readonly request: string;
  readonly parent?: Stored;
  readonly own: Map<number, Buffer>;
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();

/**
 * EBS as its documentation has it, where its emulators are lax: a token makes one snapshot, a count or a checksum that is wrong is
 * refused, nothing is written to what is complete, a child lists its parents' blocks too, and what was never written reads as zeros only
 * where nothing is encrypted.
 */
export class StrictService implements SnapshotService {
  readonly region = "eu-test-1";
  readonly place = "EBS in eu-test-1";
  readonly puts: number[] = [];
  starts = 0;
  gets = 0;
  byDefault: boolean | undefined = false;
  /** Thrown instead of an answer, once for each. */
  troubleOnPut: (() => Error | undefined) | undefined;
  afterComplete: "completed" | "pending" | "error" = "completed";
  private readonly all = new Map<string, Stored>();
  private readonly tokens = new Map<string, Stored>();

  async list(tag: string, value: string | undefined) {
    return [...this.all.values()]
      .map(({ known }) => known)
      .filter(({ tags }) => (value === undefined ? tag in tags : tags[tag] === value));
  }

  async get(id: string) {
    return this.all.get(id)?.known;
  }

  async start({ token, ...request }: StartRequest) {
    const text = JSON.stringify(request);
    const before = this.tokens.get(token);
    if (before && before.request !== text) throw this.no("conflict", "another request had this token");
    if (before) return { id: before.known.id, encrypted: before.known.encrypted };
    this.starts++;
    const { volumeGib, tags, parentId, kmsKeyId } = request;
    const parent = parentId === undefined ? undefined : this.all.get(parentId);
    if (parentId !== undefined && parent?.known.state !== "completed")
      throw this.no("invalid", "no such parent");
    if (parent && (request.encrypted !== undefined || kmsKeyId))
      throw this.no("invalid", "parent and encrypted");
    const encrypted = parent?.known.encrypted ?? request.encrypted ?? this.byDefault ?? true;
    const known: KnownSnapshot = {
      ...{ id: `snap-${randomBytes(6).toString("hex")}`, state: "pending", startedAt: Date.now() },
      ...{ volumeGib, encrypted, kmsKeyId, tags },
    };
    const stored = { known, request: text, parent, own: new Map<number, Buffer>() };
    this.all.set(known.id, stored);
    this.tokens.set(token, stored);
    return { id: known.id, encrypted };
  }

  async put(id: string, index: number, bytes: Uint8Array, digest: Uint8Array) {
    const trouble = this.troubleOnPut?.();
    if (trouble) throw trouble;
    const stored = this.pending(id);
    if (bytes.length !== SNAPSHOT_BLOCK_BYTES || index >= stored.known.volumeGib * 2048)
      throw this.no("invalid", "size");
    if (!sha256(bytes).equals(digest)) throw this.no("corrupt", "checksum");
    this.puts.push(index);
    stored.own.set(index, Buffer.from(bytes));
  }

  async complete(id: string, writtenBlocks: number, checksum: Uint8Array) {
    const stored = this.pending(id);
    const inOrder = [...stored.own.keys()].sort((one, other) => one - other);
    const all = createHash("sha256");
    for (const index of inOrder) all.update(sha256(stored.own.get(index)!));
    if (writtenBlocks !== inOrder.length || !all.digest().equals(checksum)) {
      throw this.no("invalid", `${writtenBlocks} of ${inOrder.length} blocks, or another checksum`);
    }
    stored.known = { ...stored.known, state: this.afterComplete };
  }

  async blocks(id: string, page: string | undefined): Promise<BlockPage> {
    const all = [...this.blocksOf(this.completed(id)).keys()].sort((one, other) => one - other);
    const from = Number(page ?? 0);
    const blocks = all.slice(from, from + 3).map((index) => ({ index, token: `${index}` }));
    return { blocks, next: from + 3 < all.length ? String(from + 3) : undefined };
  }

  async read(id: string, { index }: StoredBlock) {
    this.gets++;
    return this.blocksOf(this.completed(id)).get(index)!;
  }

  async digestOf(id: string, block: StoredBlock) {
    return sha256(await this.read(id, block));
  }

  async tag(id: string, tags: Readonly<Record<string, string>>) {
    const stored = this.all.get(id)!;
    stored.known = { ...stored.known, tags: { ...stored.known.tags, ...tags } };
  }

  async untag(id: string, keys: readonly string[]) {
    const stored = this.all.get(id)!;
    const tags = Object.fromEntries(Object.entries(stored.known.tags).filter(([key]) => !keys.includes(key)));
    stored.known = { ...stored.known, tags };
  }

  async delete(id: string) {
    this.all.delete(id);
  }

  async encryptsByDefault() {
    return this.byDefault;
  }

  close(): void {}

  /** What a volume made of it holds: garbage where nothing was ever written and it is encrypted. */
  volume(id: string, encryptedVolume = false): Buffer {
    const stored = this.completed(id);
    const blocks = this.blocksOf(stored);
    const garbage = stored.known.encrypted || encryptedVolume ? 0xaa : 0;
    const bytes = Buffer.alloc(64 * SNAPSHOT_BLOCK_BYTES, garbage);
    for (const [index, block] of blocks) if (index < 64) block.copy(bytes, index * SNAPSHOT_BLOCK_BYTES);
    return bytes;
  }

  fail(id: string): void {
    const stored = this.all.get(id)!;
    stored.known = { ...stored.known, state: "error", message: "it took too long" };
  }

  settle(id: string): void {
    const stored = this.all.get(id)!;
    stored.known = { ...stored.known, state: "completed" };
  }

  no(code: SnapshotErrorCode, problem: string): SnapshotError {
    return new SnapshotError(code, { place: this.place, problem, mend: "None." });
  }

  private blocksOf({ parent, own }: Stored): Map<number, Buffer> {
    return new Map([...(parent ? this.blocksOf(parent) : []), ...own]);
  }

  private pending(id: string): Stored {
    const stored = this.all.get(id);
    if (!stored) throw this.no("not-found", `no snapshot ${id}`);
    if (stored.known.state !== "pending") throw this.no("conflict", `${id} is ${stored.known.state}`);
    return stored;
  }

  private completed(id: string): Stored {
    const stored = this.all.get(id);
    if (!stored) throw this.no("not-found", `no snapshot ${id}`);
    if (stored.known.state !== "completed") throw this.no("conflict", `${id} is ${stored.known.state}`);
    return stored;
  }
}
