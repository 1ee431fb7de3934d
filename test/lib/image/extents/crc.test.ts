import { crc16, crc32, crc32c } from "../../../../lib/image/extents/crc";

// The check values of the usual catalogue: what each makes of the digits 1 to 9.
const digits = Buffer.from("123456789");

it("sums are those of the standards", () => {
  expect(crc32(digits)).toBe(0xcbf43926);
  expect(~crc32c(0xffffffff, digits) >>> 0).toBe(0xe3069283);
  expect(crc16(0, digits)).toBe(0xbb3d);
});

it("a sum goes on from where it was", () => {
  for (let cut = 0; cut <= digits.length; cut++) {
    const first = crc32c(0xffffffff, digits, 0, cut);
    expect(crc32c(first, digits, cut)).toBe(crc32c(0xffffffff, digits));
  }
});
