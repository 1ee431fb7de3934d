import { chooseParent, possibleParents, type Candidate } from "../../../../lib/image/snapshot/choose-parent";
import { TAG, type KnownSnapshot } from "../../../../lib/image/snapshot";
import { tagValue } from "../../../../lib/image/snapshot/tags";
import { tokenOf } from "../../../../lib/image/snapshot/token";

const heir = { digest: "d", lineage: "shop.raw", volumeGib: 8, encrypted: false };
function snapshot(id: string, changes: Partial<KnownSnapshot> = {}, lineage = "shop.raw"): KnownSnapshot {
  const tags = { [TAG.complete]: "true", [TAG.lineage]: lineage };
  return { id, state: "completed", startedAt: 1, volumeGib: 8, encrypted: false, tags, ...changes };
}
const candidate = (id: string, writes?: number, lineage?: string): Candidate => ({
  snapshot: snapshot(id, {}, lineage),
  writes,
});

describe("the parent of a snapshot", () => {
  it("is complete, no larger, and encrypted in the same way", () => {
    const ours = [
      snapshot("old", { startedAt: 5 }),
      snapshot("new", { startedAt: 9 }),
      snapshot("larger", { volumeGib: 9 }),
      snapshot("secret", { encrypted: true }),
      snapshot("failed", { state: "error" }),
      snapshot("pending", { state: "pending" }),
      snapshot("unmarked", { tags: {} }),
    ];
    expect(possibleParents(ours, heir).map(({ id }) => id)).toEqual(["new", "old"]);
    const keyed = snapshot("keyed", { encrypted: true, kmsKeyId: "arn:aws:kms:eu:1:key/k1" });
    const secret = { ...heir, encrypted: true };
    expect(possibleParents([keyed], { ...secret, kmsKeyId: "k1" })).toEqual([keyed]);
    expect(possibleParents([keyed], { ...secret, kmsKeyId: "k2" })).toEqual([]);
  });

  it("is the one that leaves the least to write", () => {
    expect(
      chooseParent([candidate("a", 50), candidate("b", 10), candidate("c", 90)], 100, "x"),
    ).toMatchObject({
      parent: { id: "b" },
    });
  });

  it("is the newest of its lineage that nothing is known of, once that is found out, where no other would do", () => {
    const unknown = [candidate("other", undefined, "till.raw"), candidate("new"), candidate("old")];
    expect(chooseParent(unknown, 100, "shop.raw")).toMatchObject({ ask: { id: "new" } });
    expect(chooseParent([...unknown, candidate("near", 79)], 100, "shop.raw")).toMatchObject({
      parent: { id: "near" },
    });
    expect(chooseParent([candidate("new", 100), candidate("old")], 100, "shop.raw")).toBe("none");
  });

  it("is nobody where none leaves less to write than there is", () => {
    expect(chooseParent([], 100, "shop.raw")).toBe("none");
    expect(chooseParent([candidate("a", 100)], 100, "shop.raw")).toBe("none");
    expect(chooseParent([candidate("a", 95, "till.raw")], 100, "shop.raw")).toMatchObject({
      parent: { id: "a" },
    });
  });
});

describe("what a snapshot is known again by", () => {
  it("is a token that is the same for the same request, in whatever order its tags come", () => {
    const request = { volumeGib: 8, description: "d", tags: { a: "1", b: "2" } };
    expect(tokenOf(request, "")).toMatch(/^[0-9a-f]{64}$/);
    expect(tokenOf({ ...request, tags: { b: "2", a: "1" } }, "")).toBe(tokenOf(request, ""));
    const others = [
      tokenOf(request, "salt"),
      tokenOf({ ...request, parentId: "snap-1" }, ""),
      tokenOf({ ...request, encrypted: true }, ""),
      tokenOf({ ...request, tags: { a: "2", b: "2" } }, ""),
    ];
    expect(new Set([...others, tokenOf(request, "")]).size).toBe(5);
  });

  it("is a tag of characters that AWS takes", () => {
    expect(tagValue("shop v2 (été).raw")).toBe("shop v2 _été_.raw");
    expect(tagValue("x".repeat(300))).toHaveLength(256);
  });
});
