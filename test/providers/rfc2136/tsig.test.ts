import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo } from "node:net";
import fc from "fast-check";
import { sign, verify, type TsigKey } from "../../../providers/rfc2136";
import {
  addRecord,
  addressData,
  deleteRecord,
  deleteSet,
  encodeUpdate,
  setIs,
  setIsAbsent,
  textData,
} from "../../../providers/rfc2136/wire";
import { describeWith, PATH } from "../dns/support/tools";

const query = Buffer.concat([
  Buffer.from("2d6501000001000000000000", "hex"),
  Buffer.from("\x03www\x07example\x03com\x00\x00\x01\x00\x01", "latin1"),
]);
const secret = Buffer.from("SFuWd/q99SzF8Yzd1QbB9g==", "base64");

describe("a signature", () => {
  test("is that of an update which nsupdate 9.18 signed", () => {
    const theirs = Buffer.from(
      "84eb28000001000000010001076578616d706c65047465737400000600010161c00c000100010000001e0004c00002070c7370696c6c7761792d6b6579" +
        "0000fa00ff00000000003d0b686d61632d7368613235360000006b049040012c00207d07978f4bc4b92203db99347b835bba2ec1b1ead4e9cf40f48b" +
        "2c456933c05d84eb00000000",
      "hex",
    );
    const key: TsigKey = { name: "spillway-key", algorithm: "hmac-sha256", secret };
    expect(sign(bareOf(theirs, key.name), key, 0x6b049040).message.toString("hex")).toBe(
      theirs.toString("hex"),
    );
  });

  const key: TsigKey = { name: "Key.Example", algorithm: "hmac-sha256", secret };
  const request = sign(query, key, 1_000_000);
  const answerTo = (mac: Buffer, at = 1_000_000) => {
    const answer = Buffer.from(query);
    answer[2] |= 0x80;
    return sign(answer, key, at, mac).message;
  };

  test("is verified with that of the request, its key, its clock and every byte", () => {
    expect(verify(answerTo(request.mac), key, request.mac, 1_000_000)).toEqual({ kind: "good" });
    expect(verify(answerTo(request.mac), { ...key, name: "key.EXAMPLE" }, request.mac, 1_000_300)).toEqual({
      kind: "good",
    });
    const other = { ...key, secret: Buffer.from("another") };
    expect(verify(answerTo(request.mac), other, request.mac, 1_000_000)).toMatchObject({ kind: "bad" });
    expect(verify(answerTo(Buffer.from("another")), key, request.mac, 1_000_000)).toMatchObject({
      kind: "bad",
    });
    expect(verify(answerTo(request.mac), key, request.mac, 1_000_301)).toMatchObject({ kind: "bad" });
    expect(verify(query, key, request.mac, 1_000_000)).toEqual({ kind: "unsigned" });
  });

  test("does not survive a change of any byte, nor a cut, and verifying never throws", () => {
    const answer = answerTo(request.mac);
    fc.assert(
      fc.property(fc.nat(answer.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Buffer.from(answer);
        changed[at] ^= flip;
        // The id on the wire is not signed (RFC 8945, 4.2), and letters of names are signed in lower case.
        const isFree =
          at < 2 || changed.toString("latin1").toLowerCase() === answer.toString("latin1").toLowerCase();
        return isFree || verify(changed, key, request.mac, 1_000_000).kind !== "good";
      }),
      { numRuns: 2_000 },
    );
    for (let length = 0; length < answer.length; length += 1)
      expect(verify(answer.subarray(0, length), key, request.mac, 1_000_000).kind).not.toBe("good");
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 300 }), (bytes) => {
        return verify(Buffer.from(bytes), key, request.mac, 1_000_000).kind !== "good";
      }),
    );
  });
});

describeWith(["nsupdate"], "beside nsupdate", () => {
  test.each(["hmac-sha256", "hmac-sha384", "hmac-sha512"] as const)(
    "an update signed with %s is signed alike, to the byte",
    async (algorithm) => {
      const socket = createSocket("udp4");
      await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
      const { port } = socket.address() as AddressInfo;
      const received = once(socket, "message") as Promise<[Buffer]>;
      const key: TsigKey = { name: "spillway-key", algorithm, secret };
      const script = [
        `server 127.0.0.1 ${port}`,
        "zone example.test",
        "prereq nxrrset shop.example.test A",
        "prereq yxrrset mark.example.test TXT heritage",
        "update delete shop.example.test A",
        "update add shop.example.test 30 A 192.0.2.7",
        "update delete other.example.test PTR name.example.test.",
        "send",
      ];
      const nsupdate = spawn("nsupdate", ["-y", `${algorithm}:${key.name}:${secret.toString("base64")}`], {
        env: { ...process.env, PATH },
        stdio: ["pipe", "ignore", "ignore"],
      });
      nsupdate.stdin.end(`${script.join("\n")}\n`);
      const [theirs] = await received;
      socket.close();
      // Nobody answers it.
      nsupdate.kill("SIGKILL");
      const time = theirs.readUIntBE(
        theirs.indexOf(Buffer.from(`${algorithm}\0`, "latin1")) + algorithm.length + 1,
        6,
      );
      const ours = encodeUpdate(theirs.readUInt16BE(0), {
        zone: "example.test",
        prerequisites: [
          setIsAbsent("shop.example.test", "A"),
          ...setIs("mark.example.test", "TXT", [textData(["heritage"])]),
        ],
        changes: [
          deleteSet("shop.example.test", "A"),
          addRecord("shop.example.test", "A", 30, addressData("A", "192.0.2.7")),
          deleteRecord("other.example.test", "PTR", addressData("PTR", "name.example.test")),
        ],
      });
      // nsupdate compresses names and we do not: the head is the same, and the same bytes get the same signature.
      const bare = bareOf(theirs, key.name);
      expect(ours.subarray(0, 12).toString("hex")).toBe(bare.subarray(0, 12).toString("hex"));
      expect(sign(bare, key, time).message.toString("hex")).toBe(theirs.toString("hex"));
    },
    10_000,
  );
});

/** A message of nsupdate's without its TSIG: the record begins with the key's name, written out. */
function bareOf(message: Buffer, keyName: string): Buffer {
  const label = Buffer.concat([Buffer.of(keyName.length), Buffer.from(keyName), Buffer.of(0)]);
  const bare = Buffer.from(message.subarray(0, message.lastIndexOf(label)));
  bare.writeUInt16BE(message.readUInt16BE(10) - 1, 10);
  return bare;
}
