import fc from "fast-check";
import * as protobuf from "protobufjs";
import {
  bool,
  bytes,
  int,
  map,
  message,
  messageType,
  presentInt,
  presentText,
  repeated,
  text,
} from "../../../../../providers/terraform/plugin/protocol/codec";
import { PROCEDURES, Schema } from "../../../../../providers/terraform/plugin/protocol/messages";

/** The same message, told to an implementation that reads definitions. */
const oracle = protobuf
  .parse(
    `syntax = "proto3";
     message Leaf { string word = 1; int64 count = 2; bool flag = 3; bytes data = 15; optional int64 maybe = 16; optional string perhaps = 17; }
     message Tree { Leaf one = 1; repeated Leaf many = 2; map<string, Leaf> named = 7; Tree inner = 9; string tail = 2000; }`,
    { keepCase: true },
  )
  .root.lookupType("Tree");

const Leaf = messageType({
  word: text(1),
  count: int(2),
  flag: bool(3),
  data: bytes(15),
  maybe: presentInt(16),
  perhaps: presentText(17),
});
const Inner = messageType({ one: message(1, () => Leaf), tail: text(2000) });
const Tree = messageType({
  one: message(1, () => Leaf),
  many: repeated(2, () => Leaf),
  named: map(7, () => Leaf),
  inner: message(9, () => Inner),
  tail: text(2000),
});

const leaf = fc.record({
  word: fc.string({ unit: "binary" }),
  count: fc.maxSafeInteger(),
  flag: fc.boolean(),
  data: fc.uint8Array({ maxLength: 300 }),
  maybe: fc.option(fc.maxSafeInteger(), { nil: undefined }),
  perhaps: fc.option(fc.string(), { nil: undefined }),
});
const tree = fc.record({
  one: fc.option(leaf, { nil: undefined }),
  many: fc.array(leaf, { maxLength: 4 }),
  named: fc.dictionary(fc.stringMatching(/^[a-z]*$/), leaf, { maxKeys: 4, noNullPrototype: true }),
  inner: fc.option(fc.record({ one: fc.option(leaf, { nil: undefined }), tail: fc.string() }), {
    nil: undefined,
  }),
  tail: fc.string(),
});

/** Bytes by content, and nothing where nothing is. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, part: unknown) =>
      part instanceof Uint8Array ? Buffer.from(part).toJSON() : part,
    ),
  );
}

test("another implementation reads what is written, and the other way round", () => {
  fc.assert(
    fc.property(tree, (value) => {
      const written = oracle.toObject(oracle.decode(Tree.encode(value)), { longs: Number });
      expect(plain(Tree.decode(oracle.encode(oracle.fromObject(written)).finish()))).toEqual(plain(value));
      expect(plain(Tree.decode(Tree.encode(value)))).toEqual(plain(value));
    }),
  );
});

test("fields of a newer Terraform are skipped, and truncated messages refused", () => {
  const written = Tree.encode({ many: [{ word: "a", data: Buffer.from("xyz") }], tail: "end" });
  expect(messageType({ tail: text(2000) }).decode(written)).toEqual({ tail: "end" });
  for (let end = 1; end < written.length; end += 1) {
    const cut = written.subarray(0, end);
    try {
      expect(Tree.encode(Tree.decode(cut)).length).toBeLessThanOrEqual(end);
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
    }
  }
});

test("the numbers of the wire are those of plugin protocol 6", () => {
  const bytesOf = (draft: Parameters<typeof Schema.encode>[0]) => Schema.encode(draft).toString("hex");
  // version = 1; block = 2 { attributes = 2 { name = 1, type = 2, required = 4, write_only = 11 }, description = 4 }
  const attribute = {
    name: "a",
    type: Buffer.from(`"s"`),
    description: "",
    descriptionKind: 0,
    required: true,
    optional: false,
    computed: false,
    sensitive: false,
    deprecated: false,
    writeOnly: true,
  };
  expect(bytesOf({ version: 3, block: { attributes: [attribute], description: "d" } })).toBe(
    "0803" + "1211" + "120c" + "0a0161" + "1203227322" + "2001" + "5801" + "220164",
  );
  expect(Object.keys(PROCEDURES)).toHaveLength(16);
});
