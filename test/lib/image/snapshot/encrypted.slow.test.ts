import { imageOf, pushAll, StrictHome } from "./support/strict-home";
import type { StrictService } from "./support/strict-service";

let home: StrictHome;
let service: StrictService;

beforeEach(() => {
  home = new StrictHome();
  service = home.service;
});
afterEach(() => home.remove());

describe("an encrypted snapshot at a strict service", () => {
  it("reads as the image, version after version", async () => {
    const versions = [
      { blocks: [1, "zeros", 2, "zeros", 3], forgets: false },
      { blocks: [1, 4, "zeros", "zeros", 3], forgets: false },
      { blocks: [1, 4, 2, "zeros", "zeros"], forgets: true },
    ] as const;
    await pushAll(versions, true);
  });

  it("that turns out to be encrypted is written whole, though nobody was told before", async () => {
    service.byDefault = undefined;
    const image = imageOf([1, "zeros", 3, 4, 5]);
    const made = await home.push(image);
    expect((await service.get(made.snapshotId))?.encrypted).toBe(true);
    expect(home.holds(made.snapshotId, image)).toBe(true);
    expect(new Set(service.puts).size).toBe(2048);
  });
});
