import { createHash } from "node:crypto";
import fc from "fast-check";
import {
  BlockDigests,
  chooseBlocks,
  DIGEST_OF_ZEROS,
  digestsAfter,
  fateOf,
  linearChecksum,
  nameOfChoice,
} from "../../../../lib/image/snapshot";

const NEVER = "never";
type Content = "never" | "zeros" | "a" | "b" | "c";

const digestOf = (content: Content): Buffer =>
  content === "zeros" ? DIGEST_OF_ZEROS : createHash("sha256").update(content).digest();

function digests(contents: readonly Content[]): BlockDigests {
  const list = BlockDigests.none(contents.length);
  contents.forEach((content, block) => content !== NEVER && list.set(block, digestOf(content)));
  return list;
}

const now = fc.constantFrom<Content>("zeros", "a", "b", "c");
const before = fc.constantFrom<Content>("never", "zeros", "a", "b", "c");
const world = fc.record({
  blocks: fc.array(fc.record({ now, before, isUsed: fc.boolean() }), { minLength: 1, maxLength: 60 }),
  encrypted: fc.boolean(),
  hasParent: fc.boolean(),
});

/** What each block of the snapshot reads as; `garbage` where nobody can say. */
function readBack({ blocks, encrypted, hasParent }: typeof world extends fc.Arbitrary<infer T> ? T : never) {
  const image = digests(blocks.map((block) => block.now));
  const parent = hasParent ? digests(blocks.map((block) => block.before)) : undefined;
  const isUsed = (block: number) => blocks[block]!.isUsed || blocks[block]!.now !== "zeros";
  const chosen = chooseBlocks({ image, isUsed, parent, encrypted });
  const writes = new Set(chosen.write);
  const reads = blocks.map((block, i): Content | "garbage" => {
    if (writes.has(i)) return block.now;
    if (hasParent && block.before !== NEVER) return block.before;
    return encrypted ? "garbage" : "zeros";
  });
  return { image, parent, chosen, writes, reads };
}

describe("which blocks of a snapshot are written", () => {
  it("makes the snapshot read as the image, whatever the parent was and however it is encrypted", () => {
    fc.assert(
      fc.property(world, (it) => {
        const { reads } = readBack(it);
        expect(reads).toEqual(it.blocks.map((block) => block.now));
      }),
    );
  });

  it("never leaves zeros that the image uses unwritten, nor anything of an encrypted one", () => {
    fc.assert(
      fc.property(world, (it) => {
        const { writes } = readBack(it);
        it.blocks.forEach((block, i) => {
          const wasWritten = it.hasParent && block.before !== NEVER;
          if (!wasWritten && (block.isUsed || it.encrypted)) expect(writes.has(i)).toBe(true);
        });
      }),
    );
  });

  it("writes nothing that the parent has, and counts every block once, ascending", () => {
    fc.assert(
      fc.property(world, (it) => {
        const { chosen, writes } = readBack(it);
        it.blocks.forEach((block, i) => {
          if (it.hasParent && block.now === block.before) expect(writes.has(i)).toBe(false);
        });
        expect(chosen.write.length + chosen.unchanged + chosen.left).toBe(it.blocks.length);
        expect([...chosen.write]).toEqual([...chosen.write].sort((one, other) => one - other));
      }),
    );
  });

  it("is nothing the second time: what was noted after is what the next begins with", () => {
    fc.assert(
      fc.property(world, (it) => {
        const { image, parent, chosen } = readBack(it);
        const after = digestsAfter(image, parent, chosen);
        const isUsed = (block: number) => it.blocks[block]!.isUsed;
        const again = chooseBlocks({ image, isUsed, parent: after, encrypted: it.encrypted });
        expect(again.write.length).toBe(0);
      }),
    );
  });

  it("looks at a parent that is smaller as at one that never wrote there", () => {
    const chosen = chooseBlocks({
      ...{ image: digests(["a", "zeros", "zeros", "b"]), parent: digests(["a"]), encrypted: false },
      isUsed: (block) => block === 2,
    });
    expect(chosen).toEqual({ write: Uint32Array.of(2, 3), unchanged: 1, left: 1 });
  });

  it.each([
    ["free zeros, never written, not encrypted", "zeros", NEVER, false, false, "leave"],
    ["free zeros, never written, encrypted", "zeros", NEVER, false, true, "write"],
    ["used zeros, never written", "zeros", NEVER, true, false, "write"],
    ["free zeros where the parent has something", "zeros", "a", false, false, "write"],
    ["zeros that the parent wrote as zeros", "zeros", "zeros", true, true, "unchanged"],
    ["new bytes", "a", "b", true, false, "write"],
  ] as const)("%s", (_, content, parent, isUsed, encrypted, fate) => {
    expect(
      fateOf({
        ...{ now: digestOf(content), isZeros: content === "zeros", isUsed, encrypted },
        before: parent === NEVER ? undefined : digestOf(parent),
      }),
    ).toBe(fate);
  });

  it("has one checksum over the digests of what is written, and another name for another choice", () => {
    const image = digests(["a", "b", "c"]);
    const expected = createHash("sha256").update(digestOf("a")).update(digestOf("c")).digest();
    expect(linearChecksum(image, { write: Uint32Array.of(0, 2) })).toEqual(expected);
    const names = [[0, 2], [0, 1], [0]].map((write) =>
      nameOfChoice(image, { write: Uint32Array.from(write) }).toString("hex"),
    );
    expect(new Set(names).size).toBe(3);
  });
});

describe("a list of what blocks are", () => {
  it("is read as it was written, and refused when a byte of it is another", () => {
    fc.assert(
      fc.property(fc.array(before, { maxLength: 20 }), fc.nat(), (contents, where) => {
        const file = digests(contents).encode();
        const again = BlockDigests.decode(file);
        contents.forEach((content, block) =>
          expect(again.at(block)).toEqual(content === NEVER ? undefined : digestOf(content)),
        );
        file[where % file.length]! ^= 1;
        expect(() => BlockDigests.decode(file)).toThrow("the list of a snapshot's blocks");
        expect(() => BlockDigests.decode(file.subarray(0, where % file.length))).toThrow();
      }),
    );
  });
});
