import { mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openImageSource } from "../../../../lib/image/source";
import { BlockDevice, sizeByReading } from "../../../../lib/image/source/device";
import { itMounting, run } from "../extents/support/tools";

const MIB = 1024 * 1024;
/** 259:1048575, whose minor number takes more than its first eight bits. */
const NUMBER = ((0xfffffn >> 8n) << 20n) | (259n << 8n) | 0xffn;

describe("what the system tells of a block device", () => {
  let system: string;
  beforeEach(async () => {
    system = await mkdtemp(join(tmpdir(), "spillway-system-"));
    await mkdir(join(system, "259:1048575"));
  });
  afterEach(() => rm(system, { recursive: true, force: true }));
  const tell = (file: string, text: string) => writeFile(join(system, "259:1048575", file), text);

  it("is its size, in sectors", async () => {
    const device = new BlockDevice(NUMBER, system);
    expect(await device.sizeBytes()).toBeUndefined();
    await tell("size", "6145\n");
    expect(await device.sizeBytes()).toBe(6145 * 512);
    await tell("size", "");
    expect(await device.sizeBytes()).toBeUndefined();
  });

  it("is whether it was written to, or had parts discarded; reading counts for nothing", async () => {
    const device = new BlockDevice(NUMBER, system);
    expect(await device.writeCount()).toBeUndefined();
    const fields = (changed?: number) =>
      Array.from({ length: 17 }, (_, i) => `${i === changed ? 900 + i : i}`).join("   ");
    await tell("stat", `  ${fields()}\n`);
    const before = await device.writeCount();
    const counting: number[] = [];
    for (let field = 0; field < 17; field++) {
      await tell("stat", `  ${fields(field)}\n`);
      if ((await device.writeCount()) !== before) counting.push(field);
    }
    expect(counting).toEqual([4, 6, 11, 13]);
  });
});

describe("a device whose size the system does not tell", () => {
  const failing = (code: string) => Promise.reject(Object.assign(new Error(code), { code }));

  it.each([
    ["nothing", () => Promise.resolve(0)],
    ["EINVAL", () => failing("EINVAL")],
    ["ENXIO", () => failing("ENXIO")],
  ])("ends where reading answers %s", async (_, beyond) => {
    const size = 7 * MIB + 512;
    expect(await sizeByReading((offset) => (offset < size ? Promise.resolve(1) : beyond()))).toBe(size);
  });

  it("does not end where its disk is broken", async () => {
    const read = (offset: number) => (offset < 7 * MIB ? Promise.resolve(1) : failing("EIO"));
    await expect(sizeByReading(read)).rejects.toThrow("EIO");
  });
});

itMounting(["losetup"], "a block device that is written to while it is read is refused", async () => {
  const directory = await mkdtemp(join(tmpdir(), "spillway-device-"));
  const file = join(directory, "disk.raw");
  await writeFile(file, Buffer.alloc(3 * MIB, "device"));
  const device = run("losetup", ["--find", "--show", file]).trim();
  try {
    const source = await openImageSource(device);
    await source.requireUnchanged();
    const writer = await open(device, "r+");
    await writer.write(Buffer.alloc(4096, "other"), 0, 4096, MIB);
    await writer.sync();
    await writer.close();
    await expect(source.requireUnchanged()).rejects.toThrow(/was written to while it was being read/);
    await source.close();
  } finally {
    run("losetup", ["--detach", device]);
    await rm(directory, { recursive: true });
  }
});
